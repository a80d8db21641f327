//! Functions of this program, named so that another process that executes the same file can call them.

use std::io;
use std::os::unix::fs::MetadataExt;

/// Where a function is in the file that this process executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Bytes from where the file's image begins: the address differs from process to process (ASLR).
    offset: usize,
    /// Inode and time of change of the file: a program that was built again is another one.
    inode: u64,
    changed_ns: i64,
}

impl Place {
    /// The place of this function.
    ///
    /// # Errors
    /// It is not code of the executed file itself, but of a library that is loaded beside it; or /proc is not
    /// mounted.
    pub fn of(function: fn()) -> io::Result<Self> {
        let (inode, changed_ns) = file()?;
        let address = function as usize;
        let offset = address.wrapping_sub(begin_of_image_with(address)?);
        Ok(Place { offset, inode, changed_ns })
    }

    /// The function that is there in this process.
    ///
    /// # Errors
    /// This process executes another file than the one that the place is in.
    pub fn function(self) -> io::Result<fn()> {
        if file()? != (self.inode, self.changed_ns) {
            return Err(io::Error::other("the program was built again since: run the test again"));
        }
        let address = begin_of_image_with(0)?.wrapping_add(self.offset);
        begin_of_image_with(address)?;
        // SAFETY: `of` took the place from a `fn()` of this same file, which is not writable while it is
        // executed and is mapped as a whole: at the same distance from its beginning is the same function.
        Ok(unsafe { std::mem::transmute::<usize, fn()>(address) })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.offset, self.inode, self.changed_ns)
    }
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let mut next = || parts.next().ok_or("expected OFFSET:INODE:TIME");
        let (offset, inode, changed_ns) = (next()?, next()?, next()?);
        let offset = offset.parse().map_err(|e| format!("offset: {e}"))?;
        let inode = inode.parse().map_err(|e| format!("inode: {e}"))?;
        let changed_ns = changed_ns.parse().map_err(|e| format!("time: {e}"))?;
        Ok(Place { offset, inode, changed_ns })
    }
}

/// The inode and modification time (ns) of the executed file, which identify it.
fn file() -> io::Result<(u64, i64)> {
    let about = std::fs::metadata("/proc/self/exe")?;
    Ok((about.ino(), about.mtime().wrapping_mul(1_000_000_000).wrapping_add(about.mtime_nsec())))
}

/// Where the image of the executed file begins; fails where this address is none of its code, 0 aside.
fn begin_of_image_with(address: usize) -> io::Result<usize> {
    let exe = std::fs::read_link("/proc/self/exe")?;
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let mut own = maps.lines().filter_map(Mapping::of).filter(|mapping| exe.as_os_str() == mapping.path);
    let not_there = || io::Error::other("it is no function of this program's own file");
    let first = own.next().ok_or_else(not_there)?;
    let holds = |mapping: &Mapping<'_>| mapping.executable && mapping.range.contains(&address);
    if address != 0 && !holds(&first) && !own.any(|mapping| holds(&mapping)) {
        return Err(not_there());
    }
    Ok(first.range.start)
}

/// A line of `/proc/self/maps`.
struct Mapping<'a> {
    range: std::ops::Range<usize>,
    executable: bool,
    path: &'a str,
}

impl<'a> Mapping<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        let path = rest.splitn(5, ' ').last()?.trim_start();
        let executable = rest.split(' ').next()?.contains('x');
        Some(Mapping { range: number(start)?..number(end)?, executable, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() {}

    #[test]
    fn a_function_is_found_again_at_its_place_as_written() {
        let place: Place = Place::of(one).expect("its place").to_string().parse().expect("the same");
        assert_eq!(place.function().expect("the function") as usize, one as fn() as usize);
    }

    #[test]
    fn a_place_in_another_file_or_outside_its_code_is_refused() {
        let place = Place::of(one).expect("its place");
        assert!(Place { changed_ns: place.changed_ns + 1, ..place }.function().is_err());
        assert!(Place { offset: usize::MAX / 2, ..place }.function().is_err());
    }
}
