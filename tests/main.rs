//! The one integration binary: a folder a subject. It runs real processes, on loopback only.

mod doctor;
mod inspect;
