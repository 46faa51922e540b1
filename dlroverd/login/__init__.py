"""`dlroverd-login`: lets the users of a login host call the fleet's daemon as themselves."""
