//! The client: it asks the same by any way to whoever answers.

use std::fmt;
use std::path::Path;

use crate::api::{Call, Progress, Request};
use crate::desk::Reply;
use crate::error::ErrorReply;
use crate::local::LocalSocket;

/// A way to whoever answers requests.
pub trait Transport: fmt::Debug + Send {
    /// Asks, passes every progress on, and returns the result. Errors: what the other side says, a broken connection, an answer
    /// not understood.
    fn ask(&mut self, request: Request, watcher: &mut dyn FnMut(&Progress)) -> Result<Reply, ErrorReply>;
}

/// A client: whoever asks, by one way or another.
#[derive(Debug)]
pub struct Client(Box<dyn Transport>);

impl Client {
    /// Connects to a control socket. Errors: nobody answers, not allowed.
    pub fn connect(socket: &Path) -> Result<Self, ErrorReply> {
        Ok(Self::by(LocalSocket::connect(socket)?))
    }

    /// Returns a client that asks by this way.
    pub fn by(transport: impl Transport + 'static) -> Self {
        Self(Box::new(transport))
    }

    /// Asks and returns the result. Errors: as [`Transport::ask`].
    pub fn ask<C: Call>(&mut self, call: C) -> Result<C::Reply, ErrorReply> {
        self.ask_watching(call, &mut |_| {})
    }

    /// Asks, passes every progress on, and returns the result. Errors: as [`Transport::ask`].
    pub fn ask_watching<C: Call>(
        &mut self,
        call: C,
        watcher: &mut dyn FnMut(&Progress),
    ) -> Result<C::Reply, ErrorReply> {
        Ok(self.ask_raw(call.into(), watcher)?.read()?)
    }

    /// Asks and returns the result as it came. Errors: as [`Transport::ask`].
    pub fn ask_raw(
        &mut self,
        request: Request,
        watcher: &mut dyn FnMut(&Progress),
    ) -> Result<Reply, ErrorReply> {
        self.0.ask(request, watcher)
    }
}
