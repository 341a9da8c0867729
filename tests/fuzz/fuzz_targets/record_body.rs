#![no_main]

landfall_fuzz::fuzz!("record_body");
