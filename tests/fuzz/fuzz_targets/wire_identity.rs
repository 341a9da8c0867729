#![no_main]

landfall_fuzz::fuzz!("wire_identity");
