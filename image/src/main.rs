//! binary: `image`, which `scripts/image` calls: makes the lock of packages, and builds the image.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use image::build::{Built, Inputs, build};
use image::lock::Lock;
use image::recipe::Recipe;
use image::sign::Signer;
use image::{fetch, figures};

/// Builds the appliance's image
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    /// Directory of the lists
    #[arg(long, value_name = "DIR", default_value = "image", global = true)]
    home: PathBuf,
    /// Lock of packages; by default `packages.lock` beside the lists
    #[arg(long, value_name = "FILE", global = true)]
    lock: Option<PathBuf>,
    /// Where unpacked packages are kept; by default below XDG_CACHE_HOME
    #[arg(long, value_name = "DIR", global = true)]
    cache: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  image build --programs target/release --out ./out
  image build --programs target/release --out ./out --firmware-key db.key --firmware-certificate db.pem
  image lock

Exit codes:
  0  done
  1  it failed
  2  the command line is wrong";

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the lock anew, of the packages that the mirror has today
    Lock,
    /// Build the kernel image, the disk and the OVA
    Build(BuildArguments),
}

#[derive(Debug, Args)]
struct BuildArguments {
    /// Directory of the programs that go in
    #[arg(long, value_name = "DIR")]
    programs: PathBuf,
    /// Directory the results are written to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Version the image gets
    #[arg(long, value_name = "VERSION", default_value = env!("CARGO_PKG_VERSION"), value_parser = version)]
    image_version: String,
    /// Key that signs what the firmware runs: RSA, PKCS#8, PEM
    #[arg(long, value_name = "FILE", requires = "firmware_certificate")]
    firmware_key: Option<PathBuf>,
    /// Its certificate, PEM
    #[arg(long, value_name = "FILE", requires = "firmware_key")]
    firmware_certificate: Option<PathBuf>,
    /// Key that signs the OVA: RSA, PKCS#8, PEM
    #[arg(long, value_name = "FILE", requires = "ova_certificate")]
    ova_key: Option<PathBuf>,
    /// Its certificate, PEM
    #[arg(long, value_name = "FILE", requires = "ova_key")]
    ova_certificate: Option<PathBuf>,
    /// Leave the second, empty disk out of the OVA
    #[arg(long)]
    one_disk: bool,
    /// How hard the root file system is compressed; less is for trying things out
    #[arg(long, value_name = "1..19", default_value_t = 19, value_parser = clap::value_parser!(i32).range(1..=19))]
    level: i32,
    /// How the figures are shown
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Output {
    /// For people
    Table,
    /// For programs
    Json,
}

/// A version becomes part of file names on a FAT, and is compared by the boot loader.
fn version(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'~';
    let begins = text.starts_with(|letter: char| letter.is_ascii_digit());
    if begins && text.len() <= 32 && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("allowed are digits, letters, dots and ~, first a digit, 32 at most".to_owned())
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: there is no image\n  cause: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let recipe = Recipe::read(&arguments.home)?;
    let cache = arguments.cache.clone().unwrap_or_else(fetch::cache);
    let path = arguments.lock.clone().unwrap_or_else(|| arguments.home.join("packages.lock"));
    match &arguments.command {
        Command::Lock => {
            let wanted: Vec<_> = recipe.packages.iter().map(|line| line.name.clone()).collect();
            let lock = fetch::relock(&cache, &wanted)?;
            std::fs::write(&path, lock.to_string())
                .with_context(|| format!("{} can't be written", path.display()))?;
            println!("{} packages in {}", lock.packages.len(), path.display());
            Ok(())
        }
        Command::Build(wanted) => {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("{} can't be read; `image lock` writes it", path.display()))?;
            let packages = fetch::locked(&cache, &Lock::parse(&text)?)?;
            show(&build(&inputs(wanted, recipe, packages))?, wanted.output)
        }
    }
}

fn inputs(wanted: &BuildArguments, recipe: Recipe, packages: fetch::Packages) -> Inputs {
    let signer = |key: &Option<PathBuf>, certificate: &Option<PathBuf>| {
        Some(Signer { key: key.clone()?, certificate: certificate.clone()? })
    };
    Inputs {
        recipe,
        packages,
        programs: wanted.programs.clone(),
        version: wanted.image_version.clone(),
        out: wanted.out.clone(),
        firmware: signer(&wanted.firmware_key, &wanted.firmware_certificate),
        archive: signer(&wanted.ova_key, &wanted.ova_certificate),
        level: wanted.level,
        retention_disk: !wanted.one_disk,
    }
}

fn show(built: &Built, output: Output) -> Result<()> {
    if let Output::Json = output {
        println!("{}", serde_json::to_string_pretty(built)?);
        return Ok(());
    }
    let mib = |bytes: u64| format!("{}.{} MiB", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20);
    let figures::Content { files, bytes, packages, setuid, shells, credentials } = &built.content;
    let sizes = [
        ("OVA", built.ova_bytes),
        ("kernel image", built.image_bytes),
        ("  kernel", built.kernel_bytes),
        ("  root file system, compressed", built.root_bytes),
        ("  root file system, in memory", *bytes),
        ("    our programs", built.programs_bytes),
    ];
    for (name, bytes) in sizes {
        println!("{name:<32} {:>12}", mib(bytes));
    }
    println!("{:<32} {files:>12}\n{:<32} {packages:>12}", "files", "packages");
    for (name, found) in
        [("set-user files", setuid), ("shells and scripts", shells), ("default credentials", credentials)]
    {
        println!("{name:<32} {:>12} {}", found.len(), found.join(" "));
    }
    println!(
        "{}\n{}\n{}\n{}",
        built.ova.display(),
        built.disk.display(),
        built.image.display(),
        built.sbom.display()
    );
    Ok(())
}
