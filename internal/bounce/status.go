package bounce

import (
	"regexp"
	"strings"
)

// Status is what an enhanced status code means by the IANA registry "SMTP Enhanced
// Status Codes".
type Status struct {
	Code    string `json:"code"`
	Class   string `json:"class"`
	Subject string `json:"subject"`
	Detail  string `json:"detail,omitempty"` // empty: the registry doesn't have the code
	Source  string `json:"source"`
}

var (
	enhancedShape = regexp.MustCompile(`^[245]\.[0-9]{1,3}\.[0-9]{1,3}$`)

	classes  = map[byte]string{'2': "success", '4': "a temporary failure: it is tried again", '5': "a permanent failure: it isn't tried again as it is"}
	subjects = map[string]string{
		"0": "other or undefined", "1": "addresses", "2": "the mailbox", "3": "the mail system", "4": "network and routing",
		"5": "the mail protocol", "6": "content and media", "7": "security and policy",
	}
)

// Lookup explains an enhanced status code; false for what isn't one.
func Lookup(code string) (Status, bool) {
	if !enhancedShape.MatchString(code) {
		return Status{}, false
	}
	parts := strings.SplitN(code, ".", 3)
	s := Status{Code: code, Class: classes[code[0]], Subject: subjects[parts[1]], Source: "RFC 3463"}
	if s.Subject == "" {
		s.Subject = "no subject that is registered"
	}
	if d, ok := details[parts[1]+"."+parts[2]]; ok {
		s.Detail, s.Source = d.text, d.source
	}
	return s, true
}

// Basic explains a basic code (RFC 5321); empty where it isn't one that mail is
// answered with.
func Basic(code int) string { return basicCodes[code] }

var basicCodes = map[int]string{
	211: "system status", 214: "help", 220: "the server is ready", 221: "the server closes the connection", 235: "the login succeeded", 250: "done", 251: "the user isn't here; it is passed on", 252: "the address isn't verified, but mail is taken",
	354: "the message may follow",
	421: "the server isn't available and closes the connection (temporary)", 432: "a password has to be changed first", 450: "the mailbox isn't available now (temporary)", 451: "an error while it was processed (temporary)", 452: "not enough storage, or too many recipients (temporary)", 454: "TLS or the login isn't available now (temporary)", 455: "parameters can't be dealt with now (temporary)",
	500: "a command that isn't known", 501: "a fault in a command's arguments", 502: "a command that isn't implemented", 503: "commands in the wrong order", 504: "a parameter that isn't implemented", 521: "the server takes no mail", 523: "the message is too long", 530: "a login, or TLS, is needed first", 534: "the way to log in is too weak", 535: "the login failed", 538: "logging in needs encryption", 541: "the recipient's server refused it", 550: "refused: the mailbox isn't there, or policy", 551: "the user isn't here", 552: "more than the storage allows, or too large", 553: "the name of the mailbox isn't allowed", 554: "the transaction failed, or no mail is taken here", 555: "parameters that aren't known", 556: "the domain takes no mail", 571: "blocked",
}

type detail struct{ text, source string }

// kind and fault are told by the subject, where no rule knows the words.
func (s Status) kind() Kind {
	switch strings.SplitN(s.Code, ".", 3)[1] {
	case "1", "2":
		return Recipient
	case "3":
		return Trouble
	case "4":
		return Network
	case "5", "6":
		return Form
	}
	return Access
}

func (s Status) fault() Fault {
	switch strings.SplitN(s.Code, ".", 3)[1] {
	case "1":
		return RecipientAddress
	case "2", "3":
		return Receiver
	case "6":
		return OurMessage
	}
	return Nobody
}

// details are subject and detail of the registry.
var details = map[string]detail{
	"0.0": {"Some other failure; nothing more is known.", "RFC 3463"},

	"1.0": {"Something else is wrong with the address.", "RFC 3463"},
	"1.1": {"The mailbox of the recipient doesn't exist.", "RFC 3463"},
	"1.2": {"The domain of the recipient doesn't exist, or can't take mail.", "RFC 3463"},
	"1.3": {"The recipient's address isn't spelled as an address.", "RFC 3463"},
	"1.4": {"The recipient's address stands for more than one mailbox.", "RFC 3463"},
	"1.5": {"The recipient's address is valid.", "RFC 3463"},
	"1.6": {"The mailbox has moved, and nobody knows where to.", "RFC 3463"},
	"1.7": {"The sender's address isn't spelled as an address.", "RFC 3463"},
	"1.8": {"The domain of the sender doesn't exist, or can't take mail.", "RFC 3463"},
	"1.9": {"The message was passed on to a server that gives no reports.", "RFC 3886"},

	"1.10": {"The recipient's domain takes no mail (null MX).", "RFC 7505"},

	"2.0": {"Something else is wrong with the mailbox.", "RFC 3463"},
	"2.1": {"The mailbox exists but takes no mail.", "RFC 3463"},
	"2.2": {"The mailbox is full.", "RFC 3463"},
	"2.3": {"The message is longer than the mailbox takes.", "RFC 3463"},
	"2.4": {"A mailing list couldn't be expanded.", "RFC 3463"},

	"3.0":   {"Something else is wrong with the mail system.", "RFC 3463"},
	"3.1":   {"The mail system is full.", "RFC 3463"},
	"3.2":   {"The server takes no mail at the moment.", "RFC 3463"},
	"3.3":   {"The server can't do what the message needs.", "RFC 3463"},
	"3.4":   {"The message is too large for the system.", "RFC 3463"},
	"3.5":   {"The system isn't configured to take this message.", "RFC 3463"},
	"3.6":   {"The requested priority was changed.", "RFC 6710"},
	"4.0":   {"Something else is wrong with network or routing.", "RFC 3463"},
	"4.1":   {"The host doesn't answer.", "RFC 3463"},
	"4.2":   {"The connection broke, or timed out.", "RFC 3463"},
	"4.3":   {"A directory, such as DNS, doesn't answer.", "RFC 3463"},
	"4.4":   {"There is no route to the recipient's domain: no next hop is known.", "RFC 3463"},
	"4.5":   {"The mail system is overloaded.", "RFC 3463"},
	"4.6":   {"The message goes round in a loop.", "RFC 3463"},
	"4.7":   {"The message was too old, or waited too long.", "RFC 3463"},
	"4.316": {"The connection was refused.", "Exchange Online; not registered"},

	"5.0":  {"Something else is wrong with the protocol.", "RFC 3463"},
	"5.1":  {"A command was wrong, or in the wrong order.", "RFC 3463"},
	"5.2":  {"A command was misspelt.", "RFC 3463"},
	"5.3":  {"More recipients than the server takes at once.", "RFC 3463"},
	"5.4":  {"A command had wrong arguments.", "RFC 3463"},
	"5.5":  {"The two servers speak versions of the protocol that don't fit.", "RFC 3463"},
	"5.6":  {"The login exchange was too long.", "RFC 4954"},
	"6.0":  {"Something else is wrong with the content.", "RFC 3463"},
	"6.1":  {"The content is of a kind that isn't taken.", "RFC 3463"},
	"6.2":  {"The content would have to be converted, and that is not allowed.", "RFC 3463"},
	"6.3":  {"The content would have to be converted, and that can't be done.", "RFC 3463"},
	"6.4":  {"The content was converted, with something lost.", "RFC 3463"},
	"6.5":  {"The conversion failed.", "RFC 3463"},
	"6.6":  {"The content can't be fetched.", "RFC 4468"},
	"6.7":  {"An address has characters beyond ASCII, and the server can't take these.", "RFC 6531"},
	"6.8":  {"The reply would have to hold UTF-8, and the client can't take that.", "RFC 6531"},
	"6.9":  {"The header has UTF-8, and this recipient can't take that.", "RFC 6531"},
	"6.11": {"The message has characters that aren't allowed, such as a bare line feed.", "Exchange; not registered"},

	"7.0":  {"Something else about security or policy.", "RFC 3463"},
	"7.1":  {"The sender isn't allowed to send to this recipient: the message is refused by policy.", "RFC 3463"},
	"7.2":  {"The sender isn't allowed to send to this mailing list.", "RFC 3463"},
	"7.3":  {"A security feature would have to be converted, and that can't be done.", "RFC 3463"},
	"7.4":  {"The message asks for a security feature that isn't supported, such as a way to log in.", "RFC 3463, RFC 4954"},
	"7.5":  {"Encryption or a signature failed.", "RFC 3463"},
	"7.6":  {"The way of encryption isn't supported.", "RFC 3463"},
	"7.7":  {"The message was changed on its way.", "RFC 3463"},
	"7.8":  {"The name or password of the login is wrong.", "RFC 4954"},
	"7.9":  {"The way to log in is too weak.", "RFC 4954"},
	"7.10": {"Encryption is needed.", "RFC 5248"},
	"7.11": {"This way to log in needs encryption.", "RFC 4954"},
	"7.12": {"The password must be changed first.", "RFC 4954"},
	"7.13": {"The account is disabled.", "RFC 5248"},
	"7.14": {"A trust relationship with another server is needed.", "RFC 5248"},
	"7.15": {"The priority is too low at the moment.", "RFC 6710"},
	"7.16": {"The message is too large for its priority.", "RFC 6710"},
	"7.17": {"The mailbox has changed its owner.", "RFC 7293"},
	"7.18": {"The domain has changed its owner.", "RFC 7293"},
	"7.19": {"Whether the mailbox changed its owner can't be told.", "RFC 7293"},
	"7.20": {"No DKIM signature passed.", "RFC 7372"},
	"7.21": {"No DKIM signature that is acceptable passed.", "RFC 7372"},
	"7.22": {"No DKIM signature of the author's domain passed.", "RFC 7372"},
	"7.23": {"SPF failed.", "RFC 7372"},
	"7.24": {"SPF couldn't be evaluated.", "RFC 7372"},
	"7.25": {"The address has no PTR record that leads back to it.", "RFC 7372"},
	"7.26": {"Several ways to authenticate failed.", "RFC 7372"},
	"7.27": {"The domain of the sender takes no mail (null MX).", "RFC 7505"},
	"7.28": {"The message belongs to a flood of mail.", "IANA registry of SMTP enhanced status codes"},
	"7.29": {"An ARC chain is broken.", "RFC 8617"},
	"7.30": {"TLS that was demanded of the whole way can't be had (REQUIRETLS).", "RFC 8689"},
}

// Uses returns the rules that go by an enhanced code of their own, for what
// providers use it for.
func Uses(code string) []Rule {
	var list []Rule
	for _, u := range Rules() {
		for _, p := range u.enhanced {
			if fitsEnhanced(p, code) {
				list = append(list, u)
				break
			}
		}
	}
	return list
}
