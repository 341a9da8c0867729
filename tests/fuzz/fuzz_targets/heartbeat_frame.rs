#![no_main]

landfall_fuzz::fuzz!("heartbeat_frame");
