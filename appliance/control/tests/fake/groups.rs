//! Groups: there are none.

use landfall_control::api::{
    Group, GroupAdd, GroupCreate, GroupDeleted, GroupFailback, GroupFailbackStarted, GroupPoint, GroupPoints,
    GroupRemove, Groups,
};
use landfall_control::{ApiError, GroupService};
use units::MachineName;

use super::{Fake, unknown};

impl GroupService for Fake {
    fn group_list(&self) -> Result<Groups, ApiError> {
        Err(unknown())
    }

    fn group_show(&self, _: &MachineName) -> Result<Group, ApiError> {
        Err(unknown())
    }

    fn group_create(&self, _: GroupCreate) -> Result<Group, ApiError> {
        Err(unknown())
    }

    fn group_add(&self, _: GroupAdd) -> Result<Group, ApiError> {
        Err(unknown())
    }

    fn group_remove(&self, _: GroupRemove) -> Result<Group, ApiError> {
        Err(unknown())
    }

    fn group_delete(&self, _: &MachineName) -> Result<GroupDeleted, ApiError> {
        Err(unknown())
    }

    fn group_point_make(&self, _: &MachineName) -> Result<GroupPoint, ApiError> {
        Err(unknown())
    }

    fn group_point_list(&self, _: &MachineName) -> Result<GroupPoints, ApiError> {
        Err(unknown())
    }

    fn group_failback(&self, _: GroupFailback) -> Result<GroupFailbackStarted, ApiError> {
        Err(unknown())
    }
}
