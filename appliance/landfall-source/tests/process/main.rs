//! The agent as a process, against a target that plays by a script.

mod endings;
mod resync;
mod rounds;
mod scripted;
