//! A server's own test at its descriptor limit, for four frameworks. `cargo test --test server_tests` runs
//! them; copy the file of yours into your `tests` folder.

mod axum;
mod guide;
mod hyper;
mod tiny_http;
mod tonic;
