[, $host, $port] = $argv;
mysqli_report(MYSQLI_REPORT_OFF);
$server = mysqli_init();
$server->options(MYSQLI_OPT_CONNECT_TIMEOUT, 2);
$server->options(MYSQLI_OPT_READ_TIMEOUT, 2);
// No user has this name: to be refused takes a whole handshake. A server counts the ones that break off, and in the end
// takes no connection of that address any more.
@$server->real_connect($host, 'hostplane_path', '', null, (int) $port);
echo json_encode(['address' => gethostbyname($host), 'number' => $server->connect_errno, 'message' => $server->connect_error]);
