//! The one table: which request is asked for how.

use super::route::Method::{Delete, Get, Post};
use super::route::{Route, route};
use crate::api::{
    Cancel, Commit, DiskEligible, DiskList, DiskWatch, Failback, JobList, JobWatch, MachineAdd, MachineList,
    MachineRemove, MachineShow, ManifestList, ManifestShow, PointList, PointPin, PointUnpin, PointVerify,
    PointView, PolicySet, PolicyShow, Reprotect, RetentionPlan, RetentionScrub, RetentionShow, ServerList,
    ServerRevoke, ServerToken, StatusShow, ViewClose, ViewList,
};

/// Every route. What only looks is a `GET`, what takes something away is a `DELETE`, everything else that changes is a `POST`.
pub const ROUTES: &[Route] = &[
    route::<StatusShow>(Get, "/status"),
    route::<MachineList>(Get, "/machines"),
    route::<MachineAdd>(Post, "/machines"),
    route::<MachineShow>(Get, "/machines/{name}"),
    route::<MachineRemove>(Delete, "/machines/{name}"),
    route::<PointList>(Get, "/machines/{machine}/points"),
    route::<PointVerify>(Post, "/machines/{machine}/points/verify"),
    route::<PointPin>(Post, "/machines/{machine}/points/pin"),
    route::<PointUnpin>(Post, "/machines/{machine}/points/unpin"),
    route::<PointView>(Post, "/machines/{machine}/views"),
    route::<Failback>(Post, "/machines/{machine}/failback"),
    route::<Commit>(Post, "/machines/{machine}/commit"),
    route::<Cancel>(Post, "/machines/{machine}/cancel"),
    route::<Reprotect>(Post, "/machines/{machine}/reprotect"),
    route::<ManifestList>(Get, "/machines/{machine}/manifests"),
    route::<ManifestShow>(Get, "/machines/{machine}/manifest"),
    route::<DiskList>(Get, "/disks"),
    route::<DiskEligible>(Get, "/disks/eligible"),
    route::<DiskWatch>(Get, "/disks/events"),
    route::<ViewList>(Get, "/views"),
    route::<ViewClose>(Delete, "/views/{#id}"),
    route::<JobList>(Get, "/jobs"),
    route::<JobWatch>(Get, "/jobs/{#id}"),
    route::<RetentionShow>(Get, "/retention"),
    route::<RetentionPlan>(Get, "/retention/plan"),
    route::<RetentionScrub>(Post, "/retention/scrub"),
    route::<PolicyShow>(Get, "/policies"),
    route::<PolicySet>(Post, "/policies"),
    route::<ServerList>(Get, "/servers"),
    route::<ServerToken>(Post, "/servers/tokens"),
    route::<ServerRevoke>(Post, "/servers/{name}/revoke"),
];
