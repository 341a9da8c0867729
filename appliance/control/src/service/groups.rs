//! Consistency groups.

use units::MachineName;

use crate::api::{
    Group, GroupAdd, GroupCreate, GroupDeleted, GroupFailback, GroupFailbackStarted, GroupPoint, GroupPoints,
    GroupRemove, Groups,
};
use crate::error::ApiError;

/// The answers about consistency groups. As for [`Service`](crate::Service), methods block, and one that returns an error has changed
/// nothing, unless the error says so.
pub trait GroupService {
    /// Returns every group, by name.
    fn group_list(&self) -> Result<Groups, ApiError>;

    /// Returns one group.
    fn group_show(&self, name: &MachineName) -> Result<Group, ApiError>;

    /// Makes a group; durable on return.
    fn group_create(&self, request: GroupCreate) -> Result<Group, ApiError>;

    /// Takes one more machine into a group; durable on return.
    fn group_add(&self, request: GroupAdd) -> Result<Group, ApiError>;

    /// Takes a machine out of a group; durable on return.
    fn group_remove(&self, request: GroupRemove) -> Result<Group, ApiError>;

    /// Deletes a group; durable on return. The server has compared `confirm` with the name.
    fn group_delete(&self, name: &MachineName) -> Result<GroupDeleted, ApiError>;

    /// Makes a point of a group; durable at every member on return. An error leaves no writes held.
    fn group_point_make(&self, name: &MachineName) -> Result<GroupPoint, ApiError>;

    /// Returns the points of a group, oldest first.
    fn group_point_list(&self, name: &MachineName) -> Result<GroupPoints, ApiError>;

    /// Plans the failback of a group and, unless only the plan was asked for, starts the jobs that carry it out.
    fn group_failback(&self, request: GroupFailback) -> Result<GroupFailbackStarted, ApiError>;
}
