// Package config turns a TOML file into a checked Config value.
//
// It promises: a Config that Parse returns is complete (defaults filled in), consistent
// (no rule between two keys is broken) and absolute (no path depends on the working
// directory); a file with problems is refused with all of them at once, each with file,
// line and key. A Config survives JSON unchanged, because it travels to the workers that
// way and they never open the file.
//
// It touches nothing but the file it reads. It does not know which apps are registered,
// which users and groups exist, which ports are free or what the kernel allows: the
// server finds that out at start.
//
//	file ─▶ tree (TOML, syntax) ─▶ schema (one row per key) ─▶ rules (between keys) ─▶ Config
package config

import (
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
)

// maxFile bounds the file, so that a log or a disk image named by mistake is an error
// message, and so that a Config fits the frame that carries it to a worker.
const maxFile = 256 << 10

// DefaultStaticURL is the default of static-url.
const DefaultStaticURL = "/static/"

// Config is the whole configuration of one server, checked and with defaults filled in.
// Durations, sizes and modes are of this package's types because those print and parse
// themselves as the file writes them.
type Config struct {
	File string // absolute; "" for the embedded default

	// What is served.
	Binary string // the app's executable, for `ostler run`
	Module string // the app at "/"; "" means the only registered app, or with Mounts none
	Mounts []Mount

	// Static files.
	StaticRoot    string // what collectstatic fills, served at StaticURL; "" is none
	StaticURL     string // "/static/", or an address elsewhere; never empty
	StaticDirs    []string
	StaticHashed  bool
	StaticMaps    []Alias
	CheckStatic   []string
	StaticIndex   []string
	AccelRedirect []Alias // locations of the front end, by what is behind them

	// Processes.
	Processes int
	Threads   int
	Affinity  int // CPUs of each worker; 0: any
	Master    bool
	Chdir     string // "" leaves the working directory
	Umask     FileMode
	Env       map[string]string
	EnvFile   string
	UID, GID  string // name or number, "" keeps the master's
	Pidfile   string
	Daemonize string // takes stdout and stderr of the detached master; "" stays in the foreground
	Vacuum    bool

	// Sockets, in the order of the file.
	Sockets     []Socket
	Listen      int
	ChmodSocket FileMode
	ChownSocket string // "user" or "user:group", "" leaves the owner
	AllowFrom   []netip.Prefix
	Trusted     Peers   // trusted-proxies
	Stats       Address // zero is off
	Control     Address // zero: see ControlPath

	// Logs. A log target is "stderr", "stdout" or an absolute path, never empty.
	LogTo          string
	LogFormat      string // "text" or "json"
	LogLevel       string // as hclog names them
	ReqLogger      string
	ReqFormat      string // "combined" or "json"
	DisableLogging bool

	// Limits.
	WorkerReloadMercy Duration
	UpgradeMercy      Duration
	StartTimeout      Duration
	LimitPost         Size // 0 is no limit
	HeaderTimeout     Duration
	SocketTimeout     Duration
	HTTPKeepalive     Duration // 0 closes after each response

	// Overload.
	QueueTimeout Duration
	MaxQueue     int    // 0: connections wait in the kernel
	QueueOrder   string // "fifo" or "adaptive-lifo"
	HealthPaths  []string
	ReserveSlots int // beyond Threads

	Harakiri                Duration // of an app that has none of its own; 0: none
	HarakiriGracefulTimeout Duration

	// When a worker is replaced. Zero: never.
	MaxRequests       int
	MaxWorkerLifetime Duration
	MinWorkerLifetime Duration
	ReloadOnRSS       Size
	EvilReloadOnRSS   Size
	ReloadOnException bool
	CrashDir          string

	LameDuck Duration // 0: none

	// Number of workers. Cheaper 0: always Processes.
	Cheaper                     int
	CheaperInitial              int // 0: Cheaper
	CheaperStep                 int
	CheaperAlgo                 string // "busyness" or "backlog"
	CheaperOverload             int
	CheaperBusynessMax          int // percent, as is Min
	CheaperBusynessMin          int
	CheaperBusynessMultiplier   int
	CheaperBusynessPenalty      int
	CheaperBusynessBacklogAlert int
	Idle                        Duration // 0: never

	// Reloads.
	TouchReload     []string
	ReloadProbation Duration // 0: none
	ReloadSurge     int      // 0: all new workers beside all old ones
	ChainReload     bool
}

// Socket is an address to serve on and the protocol spoken there.
type Socket struct {
	Proto     string // "uwsgi", "http" or "https"
	Address   Address
	Cert, Key string `json:",omitempty"` // absolute paths of PEM files; https only
}

// Peers is a set of those who may connect.
type Peers struct {
	Networks []netip.Prefix
	Unix     bool // everyone on a unix socket
}

// Default is what runs without a file: the first minute needs none.
func Default() Config {
	c := defaults()
	c.Sockets = []Socket{{Proto: "http", Address: Address{Network: "tcp", Addr: "127.0.0.1:8000"}}}
	c.Stats = Address{Network: "tcp", Addr: "127.0.0.1:9191"}
	return c
}

// Slots is how many requests a worker may run at once, those in reserved slots included.
func (c Config) Slots() int { return c.Threads + c.ReserveSlots }

// Surge is how many workers more than Processes a reload may have at once; 0 is any number.
func (c Config) Surge() int {
	if c.ChainReload {
		return 1
	}
	return c.ReloadSurge
}

// Load reads and parses a file. Every error it returns is an Errors.
func Load(path string) (Config, error) {
	src, err := read(path)
	if err != nil {
		return Config{}, Errors{{File: path, Msg: err.Error()}}
	}
	return Parse(path, src)
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close()
	// One byte more than allowed tells Parse that the file is too large.
	src, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	return src, reason(err)
}

// reason strips the path from an error that is about to be printed behind it.
func reason(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
