//! Menus: on the left what there is, on the right what it does.

/// Which menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Menu {
    /// Behind F2.
    Customize,
    /// Behind F12.
    Power,
}

/// A line of a menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// The network of each interface.
    Network,
    /// Servers of names and time.
    Servers,
    /// The password.
    Password,
    /// A token for an operator.
    Token,
    /// The log.
    Log,
    /// The network as it was at first.
    ResetNetwork,
    /// Off.
    PowerOff,
    /// Off and on.
    Restart,
}

impl Menu {
    /// Returns its lines.
    pub fn items(self) -> &'static [Item] {
        match self {
            Self::Customize => {
                &[Item::Network, Item::Servers, Item::Password, Item::Token, Item::Log, Item::ResetNetwork]
            }
            Self::Power => &[Item::PowerOff, Item::Restart],
        }
    }

    /// Returns its title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Customize => "System Customization",
            Self::Power => "Shut Down/Restart",
        }
    }
}

impl Item {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "Configure Network",
            Self::Servers => "Configure Names and Time",
            Self::Password => "Change Password",
            Self::Token => "New Operator Token",
            Self::Log => "View Logs",
            Self::ResetNetwork => "Reset Network",
            Self::PowerOff => "Shut Down",
            Self::Restart => "Restart",
        }
    }

    /// Says what it does.
    pub fn about(self) -> &'static str {
        match self {
            Self::Network => {
                "Addresses of each interface, by DHCP or told. The change is tried for 30 seconds and rolled back by itself unless it is kept."
            }
            Self::Servers => {
                "Servers of names and of time, and the domains in which short names are looked for."
            }
            Self::Password => {
                "The password of this console. It is kept as a hash alone, and nobody can read it back."
            }
            Self::Token => {
                "A token with which one operator may log in from elsewhere, once, within an hour: landfall login --at HOST. It is shown once."
            }
            Self::Log => "What the appliance's services wrote last.",
            Self::ResetNetwork => {
                "Every interface asks DHCP again, names and time included. Whoever reaches the appliance at an address that was told is cut off."
            }
            Self::PowerOff => {
                "Sources keep what they can't send, and go on when the appliance is back. Nothing that was acked is lost."
            }
            Self::Restart => "The appliance is away for about half a minute. Sources go on by themselves.",
        }
    }
}
