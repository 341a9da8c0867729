#![no_main]

landfall_fuzz::fuzz!("command-ledger");
