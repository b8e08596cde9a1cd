"""Who may do what: facilities, accounts, clients, sessions, access rules."""
