//! How much of a run its part of the page shows, so that the page stays small.

/// How much of a run is shown.
pub struct Detail {
    /// Columns of the time axis that are drawn as one.
    pub each: usize,
    /// Rows of a table at most.
    pub rows: usize,
    /// Descriptors at rest that are listed at most.
    pub inventory: usize,
    /// Characters of a sentence, a command or a line of a log at most.
    pub text: usize,
    /// Whether the small pictures are drawn, and whether any is.
    pub small: bool,
    pub pictures: bool,
}

/// From all to little: the first that fits is taken.
pub const DETAILS: [Detail; 6] = [
    Detail { each: 1, rows: 60, inventory: 400, text: 2_000, small: true, pictures: true },
    Detail { each: 2, rows: 30, inventory: 120, text: 1_000, small: true, pictures: true },
    Detail { each: 4, rows: 12, inventory: 40, text: 600, small: true, pictures: true },
    Detail { each: 6, rows: 8, inventory: 12, text: 400, small: false, pictures: true },
    Detail { each: 12, rows: 6, inventory: 0, text: 300, small: false, pictures: true },
    Detail { each: 24, rows: 4, inventory: 0, text: 160, small: false, pictures: false },
];
