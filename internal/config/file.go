package config

import "github.com/pelletier/go-toml/v2"

// file mirrors the configuration file: what TOML can say, before it is
// validated. Its toml tags are the names of the keys.
type file struct {
	Mode      string         `toml:"mode"`
	Engine    string         `toml:"engine"`
	Hostname  string         `toml:"hostname"`
	Egress    []string       `toml:"egress"`
	Milter    fileMilter     `toml:"milter"`
	Relay     fileRelay      `toml:"relay"`
	Socketmap fileSocketmap  `toml:"socketmap"`
	Web       fileListen     `toml:"web"`
	Control   fileControl    `toml:"control"`
	Store     fileStore      `toml:"store"`
	DNS       fileDNS        `toml:"dns"`
	Policy    filePolicy     `toml:"policy"`
	Release   fileRelease    `toml:"release"`
	Hold      fileHold       `toml:"hold"`
	Queue     fileQueue      `toml:"queue"`
	Domain    []fileDomain   `toml:"domain"`
	Route     []fileRoute    `toml:"route"`
	TLS       []fileOverride `toml:"tls"`
	MTASTS    fileMTASTS     `toml:"mta_sts"`
	Reports   fileReports    `toml:"tls_reports"`

	SigningKeys fileKeys        `toml:"keys"`
	Publisher   []filePublisher `toml:"publisher"`
}

type fileKeys struct {
	Dir         string `toml:"dir"`
	RotateEvery string `toml:"rotate_every"`
	Grace       string `toml:"grace"`
}

type filePublisher struct {
	Name         string `toml:"name"`
	Provider     string `toml:"provider"`
	Zone         string `toml:"zone"`
	Server       string `toml:"server"`
	KeyName      string `toml:"key_name"`
	KeyAlgorithm string `toml:"key_algorithm"`
	KeyID        string `toml:"key_id"`
	SecretFile   string `toml:"secret_file"`
	Region       string `toml:"region"`
}

type fileListen struct {
	Listen string `toml:"listen"`
}

type fileSocketmap struct {
	Listen  string   `toml:"listen"`
	Postfix string   `toml:"postfix"`
	Trusted []string `toml:"trusted"`
}

type fileMTASTS struct {
	Enabled bool `toml:"enabled"`
	Private bool `toml:"private"`
}

type fileReports struct {
	Enabled bool   `toml:"enabled"`
	From    string `toml:"from"`
	Name    string `toml:"name"`
}

type fileMilter struct {
	Listen         string   `toml:"listen"`
	Trusted        []string `toml:"trusted"`
	MaxConnections int64    `toml:"max_connections"`
	Timeout        string   `toml:"timeout"`
	SocketMode     string   `toml:"socket_mode"`
	Umask          string   `toml:"umask"`
}

type fileRelay struct {
	Listen         string              `toml:"listen"`
	Trusted        []string            `toml:"trusted"`
	NextHop        string              `toml:"next_hop"`
	From           []string            `toml:"from"`
	TLS            string              `toml:"tls"`
	Certificate    string              `toml:"certificate"`
	Key            string              `toml:"key"`
	Profile        string              `toml:"profile"`
	Proxy          []string            `toml:"proxy"`
	BareNewlines   string              `toml:"bare_newlines"`
	MaxSize        string              `toml:"max_size"`
	MaxRecipients  int64               `toml:"max_recipients"`
	MaxConnections int64               `toml:"max_connections"`
	MaxPerClient   int64               `toml:"max_per_client"`
	Origin         string              `toml:"origin"`
	Listener       []fileRelayListener `toml:"listener"`
	User           []fileRelayUser     `toml:"user"`
}

type fileRelayListener struct {
	Listen      string   `toml:"listen"`
	Trusted     []string `toml:"trusted"`
	From        []string `toml:"from"`
	TLS         string   `toml:"tls"`
	Certificate string   `toml:"certificate"`
	Key         string   `toml:"key"`
	Profile     string   `toml:"profile"`
	Proxy       []string `toml:"proxy"`
}

type fileRelayUser struct {
	Name     string   `toml:"name"`
	Password string   `toml:"password"`
	From     []string `toml:"from"`
}

type fileRoute struct {
	Destination  string `toml:"destination"`
	Via          string `toml:"via"`
	User         string `toml:"user"`
	PasswordFile string `toml:"password_file"`
	TLS          string `toml:"tls"`
}

type fileQueue struct {
	MaxAge         string `toml:"max_age"`
	DelayNotice    string `toml:"delay_notice"`
	RetryFirst     string `toml:"retry_first"`
	RetryMost      string `toml:"retry_most"`
	PerDestination int64  `toml:"per_destination"`
	Connections    int64  `toml:"connections"`
}

type fileControl struct {
	Socket string `toml:"socket"`
}

type fileStore struct {
	URL string `toml:"url"`
}

type fileDNS struct {
	Resolvers     []string `toml:"resolvers"`
	Authoritative bool     `toml:"authoritative"`
	Panel         string   `toml:"panel"`
	Validating    bool     `toml:"validating"`
}

type filePolicy struct {
	Refused string `toml:"refused"`
	Unknown string `toml:"unknown"`
	Foreign string `toml:"foreign"`
}

type fileRelease struct {
	Via string `toml:"via"`
}

type fileHold struct {
	AutoRelease bool   `toml:"auto_release"`
	ReleaseRate int64  `toml:"release_rate"`
	Recheck     string `toml:"recheck"`
	NotifyAfter string `toml:"notify_after"`
	MaxAge      string `toml:"max_age"`
	Postmaster  string `toml:"postmaster"`
	Digest      string `toml:"digest"`
	KeepBodies  string `toml:"keep_bodies"`
	KeepLog     string `toml:"keep_log"`
	MaxBytes    string `toml:"max_bytes"`
}

type fileDomain struct {
	Name       string    `toml:"name"`
	SignAs     string    `toml:"sign_as"`
	SubDomains bool      `toml:"subdomains"`
	Bulk       bool      `toml:"bulk"`
	Expire     string    `toml:"expire"`
	Keys       []fileKey `toml:"keys"`

	Publisher   string `toml:"publisher"`
	RotateEvery string `toml:"rotate_every"`
}

type fileKey struct {
	Selector string `toml:"selector"`
	File     string `toml:"file"`
	Identity string `toml:"identity"`
}

type fileOverride struct {
	Destination string         `toml:"destination"`
	Level       string         `toml:"level"`
	MinVersion  string         `toml:"min_version"`
	MaxVersion  string         `toml:"max_version"`
	Ciphers     []string       `toml:"ciphers"`
	Curves      string         `toml:"curves"`
	ServerName  string         `toml:"server_name"`
	Match       []string       `toml:"match"`
	Reason      string         `toml:"reason"`
	Expires     toml.LocalDate `toml:"expires"`
}

// defaults is what holds for keys that are left out.
func defaults() file {
	loopback := []string{"127.0.0.0/8", "::1/128"}
	return file{
		Mode:   string(Enforce),
		Engine: string(EngineAuto),
		Milter: fileMilter{Trusted: loopback, MaxConnections: 500, Timeout: "2h"},
		Relay: fileRelay{
			Trusted: loopback, TLS: string(TLSOff), Profile: "modern", BareNewlines: "refuse",
			MaxSize: "35MiB", MaxRecipients: 1000, MaxConnections: 1000, MaxPerClient: 100,
		},
		Queue: fileQueue{
			MaxAge: "5d", DelayNotice: "4h", RetryFirst: "5m", RetryMost: "4h", PerDestination: 5, Connections: 50,
		},
		Control: fileControl{Socket: "/run/mailgate/control.sock"},
		Store:   fileStore{URL: "sqlite:/var/lib/mailgate/mailgate.db"},
		DNS:     fileDNS{Authoritative: true},
		MTASTS:  fileMTASTS{Enabled: true},

		SigningKeys: fileKeys{Grace: "7d"},

		Socketmap: fileSocketmap{Postfix: "3.6"},
		Policy:    filePolicy{Refused: string(ActionHold), Unknown: string(ActionHold), Foreign: string(ActionPass)},
		Release:   fileRelease{Via: "127.0.0.1:25"},
		Hold: fileHold{
			AutoRelease: true, ReleaseRate: 60, Recheck: "30s", MaxAge: "5d", Digest: "24h",
			KeepBodies: "7d", KeepLog: "365d", MaxBytes: "10GiB",
		},
	}
}
