//! `http-leak-body`: HTTP calls by a client that uses a connection again once its answer has been read, and
//! keeps answers unread.

use super::course::{Course, Stop};
use super::http::{Asks, Connection, drain};
use super::wire::{Left, Site};
use super::{Call, Calling, Registered};
use crate::event::Outcome;
use crate::scenario::{Body, Caller, Version};
use hyper::Response;
use hyper::body::{Body as _, Incoming};
use std::sync::{Arc, Mutex};

/// This kind.
pub const REGISTERED: Registered = Registered {
    kind: Caller::HttpLeakBody,
    name: "http-leak-body",
    doc: "HTTP calls that keep each answer unread, so that the next needs another connection",
    protocols: &[],
    make: |site, calls| {
        Arc::new(HttpLeakBody { site, asks: Asks::new(calls), body: calls.body, idle: Mutex::default() })
    },
};

struct HttpLeakBody {
    site: Arc<Site>,
    asks: Asks,
    body: Body,
    /// Connections whose last answer was read to its end. At most as many as there were calls at a time.
    idle: Mutex<Vec<Connection>>,
}

impl HttpLeakBody {
    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().expect("no panic while pooling");
        idle.retain(Connection::is_open);
        idle.pop()
    }

    fn put(&self, connection: Connection) {
        self.idle.lock().expect("no panic while pooling").push(connection);
    }

    async fn ask(&self, course: &Course) -> Result<(Connection, Response<Incoming>), Stop> {
        if let Some(connection) = self.take() {
            match connection.ask(&self.site, &self.asks, course).await {
                Ok(response) => return Ok((connection, response)),
                // The server closed it while it was idle: that is no fault of this call.
                Err(stop) if stop.outcome == Some(Outcome::Closed) => connection.left(()).let_go().await,
                Err(stop) => {
                    course.ended();
                    connection.left(()).let_go().await;
                    return Err(stop);
                }
            }
        }
        let connection = Connection::open(&self.site, Version::Http1, course).await?;
        match connection.ask(&self.site, &self.asks, course).await {
            Ok(response) => Ok((connection, response)),
            Err(stop) => {
                course.ended();
                connection.left(()).let_go().await;
                Err(stop)
            }
        }
    }
}

impl Call for HttpLeakBody {
    fn call<'a>(&'a self, course: &'a Course) -> Calling<'a> {
        Box::pin(async {
            let (connection, response) = self.ask(course).await?;
            match self.body {
                // An answer without a body is read already, and leaks nothing.
                _ if response.body().is_end_stream() => self.put(connection),
                Body::Drained => match drain(&self.site, response.into_body()).await {
                    Ok(()) => self.put(connection),
                    Err(stop) => {
                        course.ended();
                        connection.left(()).let_go().await;
                        return Err(stop);
                    }
                },
                Body::Kept => return Ok(Some(connection.left(response))),
                Body::Closed | Body::Dropped => {
                    course.ended();
                    connection.left(response).let_go().await;
                }
            }
            Ok(None)
        })
    }

    fn idle(&self) -> Vec<Left> {
        let idle = std::mem::take(&mut *self.idle.lock().expect("no panic while pooling"));
        idle.into_iter().filter(Connection::is_open).map(|connection| connection.left(())).collect()
    }
}
