//! How fast the harness is, as ratios within one run: nothing here asserts a time.

fn main() {}
