//! The images of one server, by name.

use std::fmt;
use std::sync::Arc;

use crate::Export;
use crate::image::Image;

/// Images a server may have: as many as a machine has disks.
const EXPORTS_MAX: usize = 256;

/// The images of one server: the disks of a machine, named "0", "1" and so on. The empty name means the first.
#[derive(Clone)]
pub struct Exports {
    offers: Arc<[Offer]>,
}

/// One image of a server.
#[derive(Clone)]
pub(crate) struct Offer {
    pub(crate) number: usize,
    pub(crate) image: Arc<Image>,
    name: Arc<str>,
}

impl Exports {
    /// Names images by their number. Panics if there is none, or more than 256: a machine has 1 to 256 disks.
    pub fn numbered(images: impl IntoIterator<Item = Arc<dyn Export>>) -> Self {
        let offer = |(number, export): (usize, _)| {
            let (image, name) = (Arc::new(Image::new(export)), number.to_string().into());
            Offer { number, image, name }
        };
        let offers: Arc<[Offer]> = images.into_iter().enumerate().map(offer).collect();
        assert!((1..=EXPORTS_MAX).contains(&offers.len()), "a server has 1 to {EXPORTS_MAX} images");
        Self { offers }
    }

    /// Returns the image of a name.
    pub(crate) fn find(&self, name: &[u8]) -> Option<&Offer> {
        self.offers.iter().find(|offer| name.is_empty() || offer.name.as_bytes() == name)
    }

    /// Returns every name, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.offers.iter().map(|offer| &*offer.name)
    }
}

impl fmt::Debug for Exports {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.names()).finish()
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Offer({})", self.name)
    }
}
