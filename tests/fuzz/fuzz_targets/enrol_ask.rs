#![no_main]

landfall_fuzz::fuzz!("enrol_ask");
