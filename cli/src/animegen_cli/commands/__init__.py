"""One file a command; `animegen_cli.main.COMMANDS` names them."""
