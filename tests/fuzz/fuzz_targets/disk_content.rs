#![no_main]

landfall_fuzz::fuzz!("disk_content");
