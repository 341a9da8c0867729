//! TEMP
pub fn protect() {}
