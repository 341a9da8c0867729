#![no_main]

landfall_fuzz::fuzz!("join_token");
