#![no_main]

landfall_fuzz::fuzz!("nbd-request");
