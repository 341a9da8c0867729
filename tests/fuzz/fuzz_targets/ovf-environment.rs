#![no_main]

landfall_fuzz::fuzz!("ovf-environment");
