#![no_main]

landfall_fuzz::fuzz!("control-request");
