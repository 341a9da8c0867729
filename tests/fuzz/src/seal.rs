//! Puts the right lengths and checksums over bytes that were changed, so that decoders look behind them. Written from FORMAT.md,
//! not from the crates.

/// Makes `bytes` pass the checksum of the decoder of this name, if they are long enough to have one.
pub(crate) fn seal(name: &str, bytes: &mut [u8]) {
    match name {
        "record_head" => seal_record(bytes),
        "journal_head" => seal_envelope(*b"LFHD", 4, bytes),
        "making_mark" => seal_envelope(*b"LFMK", 1, bytes),
        "superblock" => seal_envelope(*b"LFSB", 1, bytes),
        "scrub_record" => seal_envelope(*b"LFSC", 2, bytes),
        "leaf_page" => seal_envelope(*b"LFLP", 1, bytes),
        "epoch_index" => seal_envelope(*b"LFIX", 3, bytes),
        "leaf-table" => seal_leaf_table(bytes),
        "command-ledger" => seal_command_ledger(bytes),
        "catalog_snapshot" => seal_snapshot(bytes),
        "etcd_value" => seal_etcd_value(bytes),
        "wire_header" | "wire_frame" => seal_frame(*b"LFRP\x02\0", bytes),
        "heartbeat_frame" => seal_frame(*b"LFHB\x01\0", bytes),
        _ => {}
    }
}

fn keyed(context: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn seal_record(bytes: &mut [u8]) {
    if let Some((header, checksum)) = bytes.get_mut(..192).and_then(|header| header.split_at_mut_checked(160))
    {
        header[..6].copy_from_slice(b"LFJR\x02\0");
        checksum.copy_from_slice(&keyed("landfall 2026 journal record header", &[header]));
    }
}

fn seal_envelope(magic: [u8; 4], version: u8, bytes: &mut [u8]) {
    if let Some((header, body)) = bytes.split_at_mut_checked(48) {
        header[..4].copy_from_slice(&magic);
        header[4..8].copy_from_slice(&[version, 0, 0, 0]);
        header[8..16].copy_from_slice(&(body.len() as u64).to_le_bytes());
        let checksum = keyed("landfall 2026 journal envelope", &[&header[..16], body]);
        header[16..].copy_from_slice(&checksum);
    }
}

fn seal_leaf_table(bytes: &mut [u8]) {
    let Some(body_len) = bytes.len().checked_sub(104 + 32) else { return };
    bytes[..8].copy_from_slice(b"LFLEAVES");
    bytes[96..104].copy_from_slice(&(body_len as u64).to_le_bytes());
    let (table, checksum) = bytes.split_at_mut(104 + body_len);
    checksum.copy_from_slice(&keyed("landfall 2026 leaf table", &[table]));
}

fn seal_command_ledger(bytes: &mut [u8]) {
    let Some(end) = bytes.len().checked_sub(32).filter(|end| *end >= 8) else { return };
    let (content, checksum) = bytes.split_at_mut(end);
    content[..8].copy_from_slice(b"LFCMDS\x01\0");
    checksum.copy_from_slice(&keyed("landfall 2026 command ledger", &[content]));
}

/// The last line says the hash of those before, in digits: `blake3 `, 64 of them, a line feed.
fn seal_snapshot(bytes: &mut [u8]) {
    let Some((content, last)) = bytes.len().checked_sub(72).map(|at| bytes.split_at_mut(at)) else { return };
    let hash = blake3::hash(content).to_hex();
    last.copy_from_slice(format!("blake3 {hash}\n").as_bytes());
}

/// Of the record that the golden value is of.
fn seal_etcd_value(bytes: &mut [u8]) {
    const KEY: &[u8] = b"machine/home/web-01";
    let Some((value, last)) = bytes.len().checked_sub(73).map(|at| bytes.split_at_mut(at)) else { return };
    let (lease, key_len) = (7_i64.to_le_bytes(), (KEY.len() as u64).to_le_bytes());
    let parts: [&[u8]; 4] = [&lease, &key_len, KEY, value];
    let hash = blake3::Hash::from(keyed("landfall 2026 record in a cluster", &parts)).to_hex();
    last.copy_from_slice(format!("\nblake3 {hash}\n").as_bytes());
}

fn seal_frame(begin: [u8; 6], bytes: &mut [u8]) {
    let Some((header, body)) = bytes.split_at_mut_checked(32) else { return };
    header[..6].copy_from_slice(&begin);
    let body_len = u32::from_le_bytes([header[16], header[17], header[18], header[19]]) as usize;
    let body = &body[..body_len.min(body.len())];
    header[24..28].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    let checksum = crc32c::crc32c(&header[..28]);
    header[28..].copy_from_slice(&checksum.to_le_bytes());
}
