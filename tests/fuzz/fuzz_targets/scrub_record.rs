#![no_main]

landfall_fuzz::fuzz!("scrub_record");
