//! The machine that the OVA describes (DSP0243): a text from a few numbers.
//!
//! Hardware of version 15 (ESXi 6.7 U2 and later), firmware EFI, everything paravirtual: system disk and retention disk on one PVSCSI
//! controller with room for target disks, two VMXNET3 adapters. `disk.EnableUUID` gives disks the identities by which they are known
//! again. The properties are those of [`seed::PROPERTIES`], all optional; the guest hears them through the guest-tools channel.

use seed::{CLASS, Kind, PROPERTIES};

/// How large the retention disk is before somebody changes it, in GiB.
const RETENTION_GIB: u64 = 100;
const FORMAT: &str = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized";

/// What a description says of one image.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// Its version.
    pub version: &'a str,
    /// What the disk is called in the archive.
    pub disk_name: &'a str,
    /// Bytes of that file.
    pub disk_file_len: u64,
    /// Bytes of the disk, for the machine.
    pub disk_len: u64,
    /// Bytes of the disk that are not zero.
    pub populated: u64,
    /// Whether there is a second, empty disk.
    pub retention_disk: bool,
}

/// Returns the description.
pub fn describe(machine: &Machine<'_>) -> String {
    let &Machine { version, disk_name, disk_file_len, disk_len, populated, retention_disk } = machine;
    let gib = disk_len >> 30;
    assert_eq!(gib << 30, disk_len, "a disk of an OVA has whole GiB");
    let (second, second_item) = match retention_disk {
        true => (second_disk(), disk_item(7, 1, "Retention disk", "retention")),
        false => (String::new(), String::new()),
    };
    let first_item = disk_item(6, 0, "System disk", "system");
    let properties: String = PROPERTIES.iter().map(property).collect();
    let hardware = hardware(&format!("{first_item}{second_item}"));
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
  <References>
    <File ovf:href="{disk_name}" ovf:id="system-file" ovf:size="{disk_file_len}"/>
  </References>
  <DiskSection>
    <Info>The disks of the appliance</Info>
    <Disk ovf:capacity="{gib}" ovf:capacityAllocationUnits="byte * 2^30" ovf:diskId="system" ovf:fileRef="system-file" ovf:format="{FORMAT}" ovf:populatedSize="{populated}"/>
{second}  </DiskSection>
  <NetworkSection>
    <Info>The networks of the appliance</Info>
    <Network ovf:name="Management">
      <Description>Operators, vCenter and the sources reach the appliance here</Description>
    </Network>
    <Network ovf:name="Replication">
      <Description>A second network for sources, where theirs is another one</Description>
    </Network>
  </NetworkSection>
  <VirtualSystem ovf:id="landfall">
    <Info>Landfall brings failed-over machines home</Info>
    <Name>landfall</Name>
    <OperatingSystemSection ovf:id="96" vmw:osType="debian10_64Guest">
      <Info>The guest</Info>
      <Description>Debian GNU/Linux (64-bit)</Description>
    </OperatingSystemSection>
    <ProductSection ovf:class="{CLASS}">
      <Info>What the appliance is, and what it is told before its first boot</Info>
      <Product>Landfall</Product>
      <Vendor>Landfall</Vendor>
      <Version>{version}</Version>
      <FullVersion>{version}</FullVersion>
{properties}    </ProductSection>
{hardware}  </VirtualSystem>
</Envelope>
"#
    )
}

fn second_disk() -> String {
    format!(
        "    <Disk ovf:capacity=\"{RETENTION_GIB}\" ovf:capacityAllocationUnits=\"byte * 2^30\" ovf:diskId=\"retention\" \
         ovf:format=\"{FORMAT}\" ovf:populatedSize=\"0\"/>\n"
    )
}

fn property(property: &seed::Property) -> String {
    let secret = if property.kind == Kind::Secret { " ovf:password=\"true\"" } else { "" };
    let (key, label, description) = (property.key, escape(property.label), escape(property.description));
    format!(
        "      <Property ovf:key=\"{key}\"{secret} ovf:type=\"string\" ovf:userConfigurable=\"true\" ovf:value=\"\">\n        \
         <Label>{label}</Label>\n        <Description>{description}</Description>\n      </Property>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A part of the machine: elements of CIM, in the order of the alphabet, as the schema wants them.
fn item(elements: &[(&str, &str)], inner: &str) -> String {
    assert!(elements.is_sorted(), "the elements of an item are in order: {elements:?}");
    let elements: String = elements
        .iter()
        .map(|(name, value)| format!("        <rasd:{name}>{value}</rasd:{name}>\n"))
        .collect();
    format!("      <Item>\n{elements}{inner}      </Item>\n")
}

fn disk_item(id: u32, place: u32, name: &str, disk: &str) -> String {
    let (id, place, disk) = (id.to_string(), place.to_string(), format!("ovf:/disk/{disk}"));
    item(
        &[
            ("AddressOnParent", &place),
            ("ElementName", name),
            ("HostResource", &disk),
            ("InstanceID", &id),
            ("Parent", "3"),
            ("ResourceType", "17"),
        ],
        "",
    )
}

fn adapter(id: &str, place: &str, name: &str, network: &str) -> String {
    item(
        &[
            ("AddressOnParent", place),
            ("AutomaticAllocation", "true"),
            ("Connection", network),
            ("ElementName", name),
            ("InstanceID", id),
            ("ResourceSubType", "VmxNet3"),
            ("ResourceType", "10"),
        ],
        "",
    )
}

fn hardware(disks: &str) -> String {
    let processors = item(
        &[
            ("AllocationUnits", "hertz * 10^6"),
            ("ElementName", "2 processors"),
            ("InstanceID", "1"),
            ("ResourceType", "3"),
            ("VirtualQuantity", "2"),
        ],
        "",
    );
    let memory = item(
        &[
            ("AllocationUnits", "byte * 2^20"),
            ("ElementName", "1024 MiB of memory"),
            ("InstanceID", "2"),
            ("ResourceType", "4"),
            ("VirtualQuantity", "1024"),
        ],
        "",
    );
    let controller = item(
        &[
            ("Address", "0"),
            ("ElementName", "SCSI controller 0"),
            ("InstanceID", "3"),
            ("ResourceSubType", "VirtualSCSI"),
            ("ResourceType", "6"),
        ],
        "",
    );
    let adapters = adapter("4", "7", "Network adapter 1", "Management")
        + &adapter("5", "8", "Network adapter 2", "Replication");
    format!(
        r#"    <VirtualHardwareSection ovf:transport="com.vmware.guestInfo">
      <Info>The parts of the machine</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>landfall</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-15</vssd:VirtualSystemType>
      </System>
{processors}{memory}{controller}{adapters}{disks}      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>
      <vmw:ExtraConfig ovf:required="false" vmw:key="disk.EnableUUID" vmw:value="TRUE"/>
    </VirtualHardwareSection>
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specimen(retention_disk: bool) -> String {
        describe(&Machine {
            version: "1.2.3",
            disk_name: "landfall-1.2.3-disk1.vmdk",
            disk_file_len: 12_345,
            disk_len: 8 << 30,
            populated: 1 << 20,
            retention_disk,
        })
    }

    #[test]
    fn the_description_declares_every_property_and_what_esxi_needs_to_boot() {
        let text = specimen(true);
        for property in PROPERTIES {
            assert!(text.contains(&format!("ovf:key=\"{}\"", property.key)), "{}", property.key);
        }
        for wanted in [
            "vmw:key=\"firmware\" vmw:value=\"efi\"",
            "disk.EnableUUID",
            "vmx-15",
            "com.vmware.guestInfo",
            "ovf:capacity=\"8\"",
            "ovf:size=\"12345\"",
        ] {
            assert!(text.contains(wanted), "{wanted}");
        }
        assert_eq!(text.matches("VmxNet3").count(), 2);
        assert_eq!(text.matches("<Disk ").count(), 2);
        assert_eq!(specimen(false).matches("<Disk ").count(), 1);
    }
}
