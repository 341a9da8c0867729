#![no_main]

landfall_fuzz::fuzz!("making_mark");
