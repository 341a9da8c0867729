#![no_main]

landfall_fuzz::fuzz!("journal_head");
