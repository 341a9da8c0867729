//! landfalld
fn main() {}
