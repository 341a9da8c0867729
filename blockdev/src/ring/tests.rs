//! What holds for the ring alone; what holds for every engine is in `tests/engines.rs`.
