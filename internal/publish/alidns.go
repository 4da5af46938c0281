package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/libdns/alidns"
	"github.com/libdns/libdns"
)

// aliyunLimit is how many characters a value may have at Aliyun.
const aliyunLimit = 512

// aliyunDNS is an Aliyun account. libdns reads the first 20 records of a zone only, and
// finds the one to change by a likeness of names: so what is there is read here, name
// by name, and libdns changes records by their ids. A value is replaced in one step
// (UpdateDomainRecord).
type aliyunDNS struct {
	api         *aliyunAPI
	credentials alidns.CredentialInfo
}

func openAliyun(a Account) *aliyunDNS {
	return &aliyunDNS{
		api:         &aliyunAPI{http: client(a), keyID: a.KeyID, secret: a.Secret},
		credentials: alidns.CredentialInfo{AccessKeyID: a.KeyID, AccessKeySecret: a.Secret.text()},
	}
}

func (d *aliyunDNS) fits(text string) error {
	if len(text) > aliyunLimit {
		return fmt.Errorf("it has %d characters, and Aliyun takes %d: use an RSA key of 2048 bits", len(text), aliyunLimit)
	}
	return nil
}

func (d *aliyunDNS) read(ctx context.Context, zone, name string) ([]value, string, error) {
	const pageSize = 100
	var values []value
	alias := ""
	for page, seen := 1, 0; ; page++ {
		var answer struct {
			TotalCount    int
			DomainRecords struct {
				Record []struct {
					RR, Type, Value, RecordId, Status, Line string
					TTL                                     int
				}
			}
		}
		err := d.api.call(ctx, "DescribeSubDomainRecords", map[string]string{
			"DomainName": zone, "SubDomain": name,
			"PageNumber": strconv.Itoa(page), "PageSize": strconv.Itoa(pageSize),
		}, &answer)
		if err != nil {
			return nil, "", err
		}
		records := answer.DomainRecords.Record
		for _, r := range records {
			switch {
			case !strings.EqualFold(cmp.Or(r.Status, "ENABLE"), "ENABLE"): // switched off: nobody sees it
			case r.Type == "CNAME":
				alias = r.Value
			case r.Type == "TXT" && !strings.EqualFold(cmp.Or(r.Line, "default"), "default"): // libdns can't say for which line an order is
				return nil, "", fmt.Errorf("%w: a TXT record is for the line %q only at Aliyun: change it by hand", ErrCannot, r.Line)
			case r.Type == "TXT":
				values = append(values, value{text: r.Value, ttl: time.Duration(r.TTL) * time.Second, id: r.RecordId})
			}
		}
		if seen += len(records); seen >= answer.TotalCount || len(records) == 0 {
			return values, alias, nil
		}
	}
}

// write replaces as many values as it can in their places, before it adds and removes
// what is over.
func (d *aliyunDNS) write(ctx context.Context, zone string, c Change) error {
	ttl := uint32(max(c.TTL, 10*time.Minute) / time.Second) // the least of most plans
	record := alidns.DomainRecord{Type: "TXT", Name: libdns.RelativeName(c.Name, zone), TTL: ttl}
	going := c.going()
	for i := range max(len(c.Add), len(going)) {
		r, order := record, (*alidns.Provider).AppendRecords
		if i < len(going) {
			r.ID, r.Value, order = going[i].id, going[i].text, (*alidns.Provider).DeleteRecords
		}
		if i < len(c.Add) {
			r.Value = c.Add[i]
		}
		if i < len(c.Add) && i < len(going) {
			order = (*alidns.Provider).SetRecords
		}
		if err := d.order(ctx, zone, order, r); err != nil {
			return err
		}
	}
	return nil
}

type aliyunOrder func(*alidns.Provider, context.Context, string, []libdns.Record) ([]libdns.Record, error)

// order has libdns do one thing. It looks for the zone's plan without a time limit, so
// it is left behind when time is up: then nobody knows whether the record was written.
func (d *aliyunDNS) order(ctx context.Context, zone string, order aliyunOrder, r alidns.DomainRecord) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if recover() != nil {
				done <- errors.New("the answer of Aliyun isn't as its interface is documented")
			}
		}()
		provider := &alidns.Provider{CredentialInfo: d.credentials} // it isn't safe for concurrent use
		_, err := order(provider, ctx, zone, []libdns.Record{r})
		done <- err
	}()
	select {
	case err := <-done:
		return aliyunFault(err)
	case <-ctx.Done():
		return fmt.Errorf("no answer of Aliyun in time; it may still have taken the order: %w", ctx.Err())
	}
}

// aliyunFault says what an error of libdns means, of which only a text is left.
func aliyunFault(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, status := range []string{"HTTP 401", "HTTP 403"} {
		if strings.Contains(text, status) {
			return fmt.Errorf("%w: %w", ErrLogin, err)
		}
	}
	if strings.Contains(text, "cannot found specified zone") {
		return fmt.Errorf("%w: %w", ErrZone, err)
	}
	return err
}
