//! The archive that vCenter takes: the description first, then the manifest, the certificate if it is signed, the disk.
//!
//! The form is USTAR with fixed times and owners. The manifest has one line a file, `SHA256(NAME)= HEX`; the certificate file has such a
//! line with the signature of the manifest, and the certificate behind it (DSP0243, 5.1).

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use crate::hash::{hex, sha256, sha256_of};
use crate::sign::Signer;
use crate::{Error, Result};

const BLOCK: usize = 512;
/// What USTAR can say with eleven octal digits.
const LEN_MAX: u64 = (1 << 33) - 1;

/// What goes into an archive.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// What the files are called, without an extension.
    pub name: &'a str,
    /// The description.
    pub ovf: &'a str,
    /// The disk, as it lies on the builder's.
    pub disk: &'a Path,
    /// What the disk is called inside.
    pub disk_name: &'a str,
    /// The time of all files, in seconds since 1970.
    pub epoch: u64,
    /// Who signs, if somebody does.
    pub signer: Option<&'a Signer>,
}

/// Writes the archive. Errors: the disk can't be read, the archive not written, the key not used.
pub fn write(out: &Path, parts: &Parts<'_>) -> Result<()> {
    let ovf_name = format!("{}.ovf", parts.name);
    let manifest_name = format!("{}.mf", parts.name);
    let manifest = format!(
        "{}{}",
        line(&ovf_name, &sha256(parts.ovf.as_bytes())),
        line(parts.disk_name, &sha256_of(parts.disk)?)
    );
    let file = File::create(out).map_err(Error::file(out, "made"))?;
    let mut archive = Archive { out: BufWriter::new(file), path: out, epoch: parts.epoch };
    archive.text(&ovf_name, parts.ovf)?;
    archive.text(&manifest_name, &manifest)?;
    if let Some(signer) = parts.signer {
        let signature = line(&manifest_name, &signer.rsa(manifest.as_bytes())?);
        archive.text(&format!("{}.cert", parts.name), &format!("{signature}{}", signer.certificate()?))?;
    }
    let mut disk = File::open(parts.disk).map_err(Error::file(parts.disk, "opened"))?;
    let len = disk.metadata().map_err(Error::file(parts.disk, "read"))?.len();
    archive.member(parts.disk_name, len, &mut disk)?;
    archive.end()
}

fn line(name: &str, bytes: &[u8]) -> String {
    format!("SHA256({name})= {}\n", hex(bytes))
}

struct Archive<'a> {
    out: BufWriter<File>,
    path: &'a Path,
    epoch: u64,
}

impl Archive<'_> {
    fn text(&mut self, name: &str, text: &str) -> Result<()> {
        self.member(name, text.len() as u64, &mut text.as_bytes())
    }

    fn member(&mut self, name: &str, len: u64, content: &mut dyn Read) -> Result<()> {
        if len > LEN_MAX {
            return Err(Error::Room { what: "a file of an archive", len, room: LEN_MAX });
        }
        let failed = Error::file(self.path, "written");
        let written = self.out.write_all(&header(name, len, self.epoch)).and_then(|()| {
            let copied = std::io::copy(&mut content.take(len), &mut self.out)?;
            assert_eq!(copied, len, "{name} kept its size while it was read");
            let rest = (BLOCK - (len as usize % BLOCK)) % BLOCK;
            self.out.write_all(&[0; BLOCK][..rest])
        });
        written.map_err(failed)
    }

    fn end(mut self) -> Result<()> {
        let failed = Error::file(self.path, "written");
        self.out.write_all(&[0; 2 * BLOCK]).and_then(|()| self.out.flush()).map_err(failed)
    }
}

fn header(name: &str, len: u64, epoch: u64) -> [u8; BLOCK] {
    assert!(name.len() < 100 && name.is_ascii(), "{name} is a short name");
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{len:011o}\0"));
    put(136, &format!("{epoch:011o}\0"));
    // While the sum is made, its own place holds spaces.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    put(265, "root");
    put(297, "root");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn output(program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }

    #[test]
    fn openssl_verifies_what_was_signed_and_signing_twice_gives_the_same_bytes() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        let (key, certificate) = (at("key.pem"), at("cert.pem"));
        let names = [key.to_str().expect("ASCII"), certificate.to_str().expect("ASCII")];
        let request =
            ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-days", "1", "-keyout"];
        output("openssl", &[&request[..], &[names[0], "-out", names[1]]].concat());
        std::fs::write(at("disk"), [5; 700]).expect("a file");
        let signer = Signer { key, certificate };
        let parts = Parts {
            name: "landfall",
            ovf: "<Envelope/>",
            disk: &at("disk"),
            disk_name: "landfall-disk1.vmdk",
            epoch: 1_790_000_000,
            signer: Some(&signer),
        };
        write(&at("one.ova"), &parts).expect("there is room");
        write(&at("two.ova"), &parts).expect("there is room");
        assert!(
            std::fs::read(at("one.ova")).expect("it is there")
                == std::fs::read(at("two.ova")).expect("so is this")
        );
        let ova = at("one.ova");
        let ova = ova.to_str().expect("ASCII");
        let listed = output("tar", &["-tf", ova]);
        let order = ["landfall.ovf", "landfall.mf", "landfall.cert", "landfall-disk1.vmdk"];
        assert_eq!(listed.lines().collect::<Vec<_>>(), order);
        output("tar", &["-xf", ova, "-C", directory.path().to_str().expect("ASCII")]);
        let manifest = std::fs::read_to_string(at("landfall.mf")).expect("it was unpacked");
        for line in manifest.lines() {
            let (name, hash) =
                line.strip_prefix("SHA256(").and_then(|line| line.split_once(")= ")).expect("its form");
            let counted = output("sha256sum", &[at(name).to_str().expect("ASCII")]);
            assert_eq!(counted.split_whitespace().next(), Some(hash));
        }
        let signed = std::fs::read_to_string(at("landfall.cert")).expect("it was unpacked");
        let digits = signed
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("SHA256(landfall.mf)= "))
            .expect("its form");
        let bytes: Vec<u8> = (0..digits.len() / 2)
            .map(|index| u8::from_str_radix(&digits[index * 2..index * 2 + 2], 16).expect("hex"))
            .collect();
        std::fs::write(at("signature"), bytes).expect("a file");
        let public = output(
            "openssl",
            &["x509", "-in", at("landfall.cert").to_str().expect("ASCII"), "-pubkey", "-noout"],
        );
        std::fs::write(at("public.pem"), public).expect("a file");
        let paths = [at("public.pem"), at("signature"), at("landfall.mf")];
        let paths = paths.each_ref().map(|path| path.to_str().expect("ASCII"));
        let verified =
            output("openssl", &["dgst", "-sha256", "-verify", paths[0], "-signature", paths[1], paths[2]]);
        assert!(verified.contains("Verified OK"), "{verified}");
    }
}
