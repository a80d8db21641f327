//! `http-per-call`: a connection for each request, or for some of them, closed afterwards or left open.

use super::course::{Course, Stop};
use super::http::{Asks, drain, some};
use super::pool::{Pool, Turn};
use super::wire::{Left, Site};
use super::{Call, Calling, Registered};
use crate::event::{CallStep, Outcome};
use crate::scenario::{AfterCall, Caller, Calls, Leave};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// This kind.
pub const REGISTERED: Registered = Registered {
    kind: Caller::HttpPerCall,
    name: "http-per-call",
    doc: "HTTP calls on a connection each, or several on one, closed afterwards or left open",
    protocols: &[],
    make: |site, calls| Arc::new(HttpPerCall::new(site, calls, calls.after_call)),
};

/// Makes such calls.
pub struct HttpPerCall {
    site: Arc<Site>,
    asks: Asks,
    pool: Pool,
    after_call: AfterCall,
    leave: Option<Leave>,
}

impl HttpPerCall {
    /// For calls of this kind.
    pub fn new(site: Arc<Site>, calls: &Calls, after_call: AfterCall) -> HttpPerCall {
        let request = &calls.request;
        let pool = Pool::new(Arc::clone(&site), request.on.version, request.each());
        HttpPerCall { site, asks: Asks::new(calls), pool, after_call, leave: request.leave }
    }
}

// A call is a future that is moved and kept for as long as it lasts: what few calls do is boxed, so that the
// others stay small.
impl HttpPerCall {
    /// Asks on this connection, and reads as much of the answer as is to be read.
    async fn answer(&self, turn: &Turn<'_>, course: &Course) -> Result<(), Stop> {
        let connection = turn.connection(course).await?;
        let answer = async {
            let mut response = connection.ask(&self.site, &self.asks, course).await?;
            match self.leave {
                Some(Leave::AfterHeaders) => Ok(()),
                Some(_) => some(&self.site, response.body_mut()).await,
                None => drain(&self.site, response.into_body()).await,
            }
        };
        let answer = answer.await;
        if (answer.is_err() || self.leave.is_some()) && !connection.has_streams() {
            turn.spoil();
        }
        answer
    }

    /// Sends the request, or half of it, and closes the connection.
    async fn say_and_leave(&self, leave: Leave, course: &Course) -> Result<(), Stop> {
        let (mut wire, closed) = self.site.dial(course).await?;
        let (head, body) = self.asks.text(&self.site);
        let written = async {
            if leave == Leave::MidRequest {
                wire.write_all(&head[..head.len() / 2]).await?;
            } else {
                wire.write_all(&head).await?;
                wire.write_all(body).await?;
            }
            wire.flush().await
        };
        let written = timeout(self.asks.patience(&self.site), written).await;
        let written = match written {
            Ok(written) => written.map_err(|e| Stop::io(CallStep::Request, &e)),
            Err(_) => Err(Stop::overdue(CallStep::Request)),
        };
        course.ended();
        drop(wire);
        closed.wait().await;
        written
    }
}

impl HttpPerCall {
    /// The first call finds out whether the port speaks TLS only, if the workload does not say: a port that
    /// answers plain HTTP is not tried with TLS.
    async fn first(&self, course: &Course) -> Option<Result<Option<Left>, Stop>> {
        let mut first = self.site.first.lock().await;
        if !std::mem::take(&mut *first) {
            return None;
        }
        let plain = self.made(course).await;
        let turned_away = |stop: &Stop| matches!(stop.outcome, Some(Outcome::Closed | Outcome::ErrorReply));
        if plain.as_ref().err().is_some_and(turned_away) {
            course.again();
            self.site.secure.store(true, Relaxed);
            let over_tls = self.made(course).await;
            if course.passed().handshakes > 0 {
                return Some(over_tls);
            }
            self.site.secure.store(false, Relaxed);
        }
        Some(plain)
    }

    async fn made(&self, course: &Course) -> Result<Option<Left>, Stop> {
        if let Some(leave @ (Leave::MidRequest | Leave::BeforeAnswer)) = self.leave {
            return Box::pin(self.say_and_leave(leave, course)).await.map(|()| None);
        }
        let (turn, answer) = loop {
            let turn = self.pool.turn();
            let used_before = turn.is_connected();
            match self.answer(&turn, course).await {
                // The server closed it while it was idle: that is no fault of this call.
                Err(stop) if used_before && stop.outcome == Some(Outcome::Closed) => {
                    turn.spoil();
                    if let Some(left) = turn.end() {
                        Box::pin(left.let_go()).await;
                    }
                }
                answer => break (turn, answer),
            }
        };
        course.ended();
        let left = turn.end();
        if answer.is_ok() && self.after_call == AfterCall::LeftOpen {
            return Ok(left);
        }
        if let Some(left) = left {
            Box::pin(left.let_go()).await;
        }
        answer.map(|()| None)
    }
}

impl Call for HttpPerCall {
    fn call<'a>(&'a self, course: &'a Course) -> Calling<'a> {
        Box::pin(async {
            let known = self.site.first.try_lock().is_ok_and(|first| !*first);
            if !known && let Some(first) = Box::pin(self.first(course)).await {
                return first;
            }
            self.made(course).await
        })
    }

    fn idle(&self) -> Vec<Left> {
        self.pool.idle()
    }
}
