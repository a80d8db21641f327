//! Connections that calls take turns on, or share: each takes so many requests in all, and so many at a time.

use super::course::{Course, Stop};
use super::http::Connection;
use super::wire::{Left, Site};
use crate::scenario::Version;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::OnceCell;

/// Connections with room for requests. Those without are with the calls that use them.
pub struct Pool {
    site: Arc<Site>,
    version: Version,
    /// Requests of a connection in all, and at a time.
    each: (u32, u32),
    roomy: Mutex<Vec<Arc<Line>>>,
}

/// A connection, or one that the first of its calls is making.
#[derive(Default)]
struct Line {
    connection: OnceCell<Connection>,
    uses: Mutex<Uses>,
}

#[derive(Default)]
struct Uses {
    asked: u32,
    under_way: u32,
    /// It is among those with room.
    listed: bool,
    /// No request is to be made on it any more.
    spoilt: bool,
}

impl Line {
    fn uses(&self) -> MutexGuard<'_, Uses> {
        self.uses.lock().expect("no panic while pooling")
    }

    fn is_open(&self) -> bool {
        self.connection.get().is_none_or(Connection::is_open)
    }

    fn left(self: Arc<Line>) -> Option<Left> {
        Some(Arc::into_inner(self)?.connection.into_inner()?.left(()))
    }
}

/// One request's place on a connection.
pub struct Turn<'a> {
    pool: &'a Pool,
    /// `None` only when it is over.
    line: Option<Arc<Line>>,
}

impl Pool {
    /// For connections with so many requests in all, and so many at a time.
    pub fn new(site: Arc<Site>, version: Version, each: (u32, u32)) -> Pool {
        Pool { site, version, each, roomy: Mutex::default() }
    }

    fn roomy(&self) -> MutexGuard<'_, Vec<Arc<Line>>> {
        self.roomy.lock().expect("no panic while pooling")
    }

    /// A place on a connection that has room, or on a new one.
    pub fn turn(&self) -> Turn<'_> {
        let mut roomy = self.roomy();
        while roomy.last().is_some_and(|line| !line.is_open()) {
            roomy.pop().expect("it is there").uses().listed = false;
        }
        let line = roomy.last().cloned().unwrap_or_else(|| {
            let line = Arc::new(Line::default());
            line.uses().listed = true;
            roomy.push(Arc::clone(&line));
            line
        });
        let mut uses = line.uses();
        (uses.asked, uses.under_way) = (uses.asked + 1, uses.under_way + 1);
        if uses.asked >= self.each.0 || uses.under_way >= self.each.1 {
            uses.listed = false;
            roomy.pop();
        }
        drop(uses);
        Turn { pool: self, line: Some(line) }
    }

    /// Takes out those that no call uses.
    pub fn idle(&self) -> Vec<Left> {
        let mut roomy = self.roomy();
        let idle = roomy.extract_if(.., |line| line.uses().under_way == 0);
        idle.filter(|line| line.is_open()).filter_map(Line::left).collect()
    }
}

impl Turn<'_> {
    fn line(&self) -> &Line {
        self.line.as_ref().expect("it is not over")
    }

    /// Whether the connection was there before.
    pub fn is_connected(&self) -> bool {
        self.line().connection.initialized()
    }

    /// The connection: made now, if no other call of it does so.
    ///
    /// # Errors
    /// It could not be made.
    pub async fn connection(&self, course: &Course) -> Result<&Connection, Stop> {
        if let Some(made) = self.line().connection.get() {
            return Ok(made);
        }
        let open = || Connection::open(&self.pool.site, self.pool.version, course);
        // Boxed: it takes much room, and few calls make a connection.
        Box::pin(self.line().connection.get_or_try_init(open)).await
    }

    /// No further request can be made on its connection.
    pub fn spoil(&self) {
        self.line().uses().spoilt = true;
    }

    /// The request is over. Returns the connection if it was the last on it.
    pub fn end(mut self) -> Option<Left> {
        self.over()
    }

    fn over(&mut self) -> Option<Left> {
        let line = self.line.take()?;
        let mut roomy = self.pool.roomy();
        let mut uses = line.uses();
        uses.under_way -= 1;
        let open = !uses.spoilt && line.is_open() && uses.asked < self.pool.each.0;
        if open != uses.listed {
            uses.listed = open;
            if open {
                roomy.push(Arc::clone(&line));
            } else {
                roomy.retain(|other| !Arc::ptr_eq(other, &line));
            }
        }
        let last = !open && uses.under_way == 0;
        drop(uses);
        if last { line.left() } else { None }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.over();
    }
}
