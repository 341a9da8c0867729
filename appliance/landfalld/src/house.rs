//! What landfalld keeps on the system volume: the authority, the catalog, its certificates. Made at the first start.
//!
//! ```text
//! STATE/ca/        the authority           role configuration-server
//! STATE/catalog.db what is known           role configuration-server
//! STATE/jobs.db    jobs, where there is no catalog to rely on
//! STATE/server/    certificate for 443     role configuration-server
//! STATE/identity/  certificate for 9443, and for manifests
//! ```

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use catalog::{Catalog, Sqlite};
use enrol::{Keeper, Revocations, controller_of};
use inventory::Holder;
use link::{Credentials, Denied, Peer, Standing};
use pki::{Authority, CertificateFacts};
use registrar::{Register, Registrar, Terms};
use units::{CertificateId, MachineName, Timestamp};
use wire::{Identity, Role};

use crate::again::Again;
use crate::fleet::{Fleet, note_authority, refuse_other_authority, refuse_taken_name};
use crate::own_keeper::{Kept, OwnKeeper};
use crate::records::Records;
use crate::store::{CatalogPlace, Copy, Found, Places, Trouble, TroubleKind};

/// Where the certificate for 9443 lies.
pub(crate) const IDENTITY: &str = "identity";

/// Who this server is, and who belongs to it.
pub(crate) struct House {
    /// For 9443, manifests and views.
    pub(crate) target: Credentials,
    /// Where its certificate lies.
    pub(crate) place: PathBuf,
    /// Where the jobs of this server are kept: in the catalog, or in a file of their own where there is none to rely on.
    pub(crate) jobs: Arc<dyn Catalog>,
    /// What a configuration server has besides.
    pub(crate) office: Option<Office>,
    /// How its catalog is kept, where it has one.
    pub(crate) store: Option<Store>,
    /// Keeps the certificates good.
    _keeping: Option<Keeping>,
}

/// The catalog of a configuration server.
pub(crate) struct Store {
    /// Where it is.
    pub(crate) places: Places,
    /// How it was found.
    pub(crate) found: Found,
}

/// What a configuration server has.
pub(crate) struct Office {
    /// Gives out certificates.
    pub(crate) registrar: Arc<Registrar>,
    /// For 443.
    pub(crate) credentials: Credentials,
    /// What is known.
    pub(crate) catalog: Arc<dyn Catalog>,
    /// Whether other configuration servers share the catalog.
    pub(crate) sharing: Sharing,
}

/// Whether a configuration server is the only one of its installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// It is.
    Alone,
    /// There may be others, which have the same catalog.
    Fleet,
}

/// Whoever keeps the certificates good, until it is dropped.
#[expect(dead_code, reason = "held for what happens when they are dropped")]
enum Keeping {
    Own(OwnKeeper),
    Joined(Keeper),
}

impl Store {
    /// Begins to keep records, once the retention volume is this node's.
    pub(crate) fn records(self, again: &Again, audit_every: Duration) -> Result<Records> {
        match self.found {
            Found::Good(catalog) => Records::keep(catalog, self.places, again.clone(), audit_every),
            Found::Trouble(trouble) => {
                if let (TroubleKind::Away, CatalogPlace::Cluster(fleet, name)) =
                    (trouble.kind, &self.places.catalog)
                {
                    fleet.clone().await_return(name.clone(), again.clone())?;
                }
                Ok(Records::safe(trouble, self.places, again.clone()))
            }
        }
    }
}

impl House {
    /// Opens the house of a server that is its own configuration server; builds it at the first start.
    /// One whose catalog can't be relied on has no office: it knows nobody, or only whom its copy knows.
    pub(crate) fn own(
        state: &Path,
        retention: &Path,
        name: Option<&MachineName>,
        terms: Terms,
        fleet: Option<Fleet>,
    ) -> Result<Self> {
        make(state)?;
        let lived = ["server", IDENTITY].iter().any(|place| state.join(place).exists());
        let name = own_name(state, name)?;
        let sharing = if fleet.is_some() { Sharing::Fleet } else { Sharing::Alone };
        let place = fleet.map_or(CatalogPlace::File, |fleet| CatalogPlace::Cluster(fleet, name.clone()));
        let places = Places::new(state, retention, place);
        // A server that is the first one of its installation makes the authority before it makes a catalog, another one never.
        let own = match sharing {
            Sharing::Alone => Some(open_authority(state, lived)?),
            Sharing::Fleet => None,
        };
        let catalog = match places.open(lived)? {
            Found::Good(catalog) => catalog,
            Found::Trouble(trouble) => return Self::without_catalog(state, places, trouble),
        };
        let authority = match own {
            Some(own) => own,
            None => {
                if !lived {
                    refuse_taken_name(&catalog, &name)?;
                }
                refuse_other_authority(&catalog, &state.join("ca"))?;
                let authority = open_authority(state, lived)?;
                note_authority(&catalog, &authority)?;
                authority
            }
        };
        let registrar = Registrar::open(authority, catalog.clone(), terms)?;
        let kept = |role, directory: &str| -> Result<Kept> {
            let (identity, place) = (Identity { role, name: name.clone() }, state.join(directory));
            registrar
                .enrol_own(&identity, &place, Timestamp::from_system(SystemTime::now()))
                .with_context(|| format!("no certificate can be made for {identity}"))?;
            let credentials = Credentials::read(&place).context("its certificate can't be used")?;
            let standing = registrar.register() as Arc<dyn Standing>;
            Ok(Kept { identity, place, credentials: credentials.with_standing(standing) })
        };
        let (server, target) =
            (kept(Role::ConfigurationServer, "server")?, kept(Role::MasterTarget, IDENTITY)?);
        let office = Office {
            registrar: registrar.clone(),
            credentials: server.credentials.clone(),
            catalog: catalog.clone(),
            sharing,
        };
        let (credentials, place) = (target.credentials.clone(), target.place.clone());
        let keeper = OwnKeeper::start(registrar, vec![server, target], terms.life)?;
        let store = Some(Store { places, found: Found::Good(catalog.clone()) });
        let (keeping, jobs) = (Some(Keeping::Own(keeper)), catalog);
        Ok(Self { target: credentials, place, jobs, office: Some(office), store, _keeping: keeping })
    }

    /// Opens what there is without a catalog: the identity, for which nobody else counts; or whoever did when the catalog was copied
    /// last, if its cluster does not answer.
    fn without_catalog(state: &Path, places: Places, trouble: Trouble) -> Result<Self> {
        let place = state.join(IDENTITY);
        let credentials = Credentials::read(&place).context("its certificate can't be used")?;
        let standing: Arc<dyn Standing> = match (trouble.kind, places.copy(None)) {
            (TroubleKind::Away, Copy::Own(copy)) => Arc::new(Register::of(&copy.table::<Holder>()?)),
            _ => Arc::new(Nobody),
        };
        let target = credentials.with_standing(standing);
        let store = Some(Store { places, found: Found::Trouble(trouble) });
        Ok(Self { target, place, jobs: own_jobs(state)?, office: None, store, _keeping: None })
    }

    /// Tells whether nobody is known who could be let in.
    pub(crate) fn knows_nobody(&self) -> bool {
        let trouble = match &self.store {
            Some(Store { found: Found::Trouble(trouble), .. }) => trouble,
            _ => return false,
        };
        trouble.kind == TroubleKind::Damaged
    }

    /// Opens the house of a master target that was joined at another configuration server.
    pub(crate) fn joined(state: &Path) -> Result<Self> {
        let place = state.join(IDENTITY);
        if !place.exists() {
            bail!("this master target belongs to nobody yet; run `landfalld join` first");
        }
        let revocations = Arc::new(Revocations::default());
        let credentials = Credentials::read(&place).context("its certificate can't be used")?;
        let credentials = credentials.with_standing(revocations.clone());
        let controller = controller_of(&place)?;
        let keeper = Keeper::start(controller, credentials.clone(), &place, Some(revocations))?;
        let keeping = Some(Keeping::Joined(keeper));
        let jobs = own_jobs(state)?;
        Ok(Self { target: credentials, place, jobs, office: None, store: None, _keeping: keeping })
    }
}

/// Nobody is enrolled.
struct Nobody;

impl Standing for Nobody {
    fn check(&self, _: &Peer, _: CertificateId) -> Result<(), Denied> {
        Err(Denied::Unknown)
    }
}

/// Makes the directory, for its owner alone.
pub(crate) fn make(state: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(state);
    made.with_context(|| format!("the state directory {} can't be made", state.display()))
}

/// Opens the authority. At the first start it is made; one that is missing later is a loss, and not replaced.
fn open_authority(state: &Path, lived: bool) -> Result<Authority> {
    let ca = state.join("ca");
    if !Authority::exists(&ca) {
        ensure!(
            !lived,
            "{} holds no authority, but there are certificates of one; restore it from a backup",
            ca.display()
        );
        pki::init(&ca).context("no certificate authority can be made")?;
        tracing::info!(ca = %ca.display(), "certificate authority made");
    }
    Authority::open(&ca).context("the certificate authority can't be used")
}

/// Opens the file of jobs where there is no catalog for them.
fn own_jobs(state: &Path) -> Result<Arc<dyn Catalog>> {
    Ok(Arc::new(Sqlite::open(&state.join("jobs.db")).context("the jobs can't be opened")?))
}

/// Returns the name of this server: the one it has, else the one that is given, else the host's.
fn own_name(state: &Path, given: Option<&MachineName>) -> Result<MachineName> {
    match CertificateFacts::read(&state.join(IDENTITY)) {
        Ok(own) => {
            let had = own.identity.name;
            ensure!(
                given.is_none_or(|given| *given == had),
                "this server is {had} and can't be renamed by --name"
            );
            Ok(had)
        }
        Err(_) => match given {
            Some(given) => Ok(given.clone()),
            None => host_name(),
        },
    }
}

fn host_name() -> Result<MachineName> {
    let host =
        std::fs::read_to_string("/proc/sys/kernel/hostname").context("the host's name can't be read")?;
    let host = host.trim().to_ascii_lowercase();
    host.parse()
        .with_context(|| format!("the host's name {host:?} can't be the server's; give one with --name"))
}

/// How long the keeper waits between two looks at certificates that live so long.
pub(crate) fn pause(life: Duration) -> Duration {
    (life / 20).clamp(Duration::from_millis(100), Duration::from_secs(60))
}
