#![no_main]

landfall_fuzz::fuzz!("http-events");
