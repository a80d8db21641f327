//! One integration binary, a file by subject.

mod measure;
