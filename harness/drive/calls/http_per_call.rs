//! `http-per-call`: a connection for each request, closed after it or left open.

use super::course::{Course, Stop};
use super::http::{Asks, Connection, drain, some};
use super::wire::{Left, Site};
use super::{Call, Calling, Registered};
use crate::event::CallStep;
use crate::scenario::{AfterCall, Caller, Calls, Leave};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// This kind.
pub const REGISTERED: Registered = Registered {
    kind: Caller::HttpPerCall,
    name: "http-per-call",
    doc: "HTTP calls on a connection each, closed afterwards or left open",
    protocols: &[],
    make: |site, calls| Arc::new(HttpPerCall::new(site, calls, calls.after_call)),
};

/// Makes such calls.
pub struct HttpPerCall {
    site: Arc<Site>,
    asks: Asks,
    after_call: AfterCall,
    leave: Option<Leave>,
}

impl HttpPerCall {
    /// For calls of this kind.
    pub fn new(site: Arc<Site>, calls: &Calls, after_call: AfterCall) -> HttpPerCall {
        HttpPerCall { site, asks: Asks::new(calls), after_call, leave: calls.request.leave }
    }
}

impl HttpPerCall {
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
        let written = timeout(self.site.read_timeout, written).await;
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

impl Call for HttpPerCall {
    fn call<'a>(&'a self, course: &'a Course) -> Calling<'a> {
        Box::pin(async {
            if let Some(leave @ (Leave::MidRequest | Leave::BeforeAnswer)) = self.leave {
                return self.say_and_leave(leave, course).await.map(|()| None);
            }
            let mut connection = Connection::open(&self.site, course).await?;
            let answer: Result<(), Stop> = async {
                let mut response = connection.ask(&self.site, &self.asks).await?;
                match self.leave {
                    Some(Leave::AfterHeaders) => Ok(()),
                    Some(_) => some(&self.site, response.body_mut()).await,
                    None => drain(&self.site, response.into_body()).await,
                }
            }
            .await;
            course.ended();
            let left = connection.left(());
            if answer.is_ok() && self.after_call == AfterCall::LeftOpen {
                return Ok(Some(left));
            }
            left.let_go().await;
            answer.map(|()| None)
        })
    }

    fn idle(&self) -> Vec<Left> {
        Vec::new()
    }
}
