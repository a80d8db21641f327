//! `http-per-call`: a connection for each request, closed after it or left open.

use super::course::{Course, Stop};
use super::http::{Connection, drain};
use super::wire::{Left, Site};
use super::{Call, Calling, Registered};
use crate::scenario::{AfterCall, Caller, Calls};
use hyper::body::Bytes;
use std::sync::Arc;

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
    upload: Bytes,
    after_call: AfterCall,
}

impl HttpPerCall {
    /// For calls of this kind.
    pub fn new(site: Arc<Site>, calls: &Calls, after_call: AfterCall) -> HttpPerCall {
        HttpPerCall { site, upload: super::upload(calls), after_call }
    }
}

impl Call for HttpPerCall {
    fn call<'a>(&'a self, course: &'a Course) -> Calling<'a> {
        Box::pin(async {
            let mut connection = Connection::open(&self.site, course).await?;
            let answer: Result<(), Stop> = async {
                let response = connection.ask(&self.site, &self.upload).await?;
                drain(&self.site, response.into_body()).await
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
