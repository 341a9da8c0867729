//! Claims about real files, real loop devices and real failures. What needs root, loop devices or mounts is skipped with a word
//! where they are missing.
#![cfg(test)]

mod background;
mod engines;
mod failing;
mod killing;
mod opening;
mod rig;
mod volumes;
mod watching;
