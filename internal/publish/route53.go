package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/smithy-go"
)

// awsDNS is an Amazon Route 53 account, by the SDK that libdns/route53 uses, too.
// libdns would take the first zone of a name, though it be a private one, drop quotes
// of others' values when it writes them back, and end the process where AWS's own
// files have a fault. With the SDK a change is conditional: one batch removes the
// records exactly as they were read and makes the new ones, or does nothing.
type awsDNS struct{ client *route53.Client }

func openRoute53(a Account) (*awsDNS, error) {
	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithDefaultRegion("us-east-1"), // Route 53 is the same in all
		awsconfig.WithRetryMaxAttempts(3),
	}
	if a.Region != "" {
		options = append(options, awsconfig.WithRegion(a.Region))
	}
	if a.KeyID != "" {
		options = append(options, awsconfig.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(a.KeyID, a.Secret.text(), "")))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cfg, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("route53: reading AWS's configuration: %w", err)
	}
	return &awsDNS{route53.NewFromConfig(cfg, func(o *route53.Options) {
		if a.Transport != nil {
			o.HTTPClient = client(a)
		}
	})}, nil
}

func (d *awsDNS) fits(string) error { return nil }

// zoneID finds the public zone of a name.
func (d *awsDNS) zoneID(ctx context.Context, zone string) (string, error) {
	list, err := d.client.ListHostedZonesByName(ctx, &route53.ListHostedZonesByNameInput{DNSName: aws.String(zone + ".")})
	if err != nil {
		return "", awsFault(err)
	}
	var ids []string
	for _, z := range list.HostedZones {
		if canonical(aws.ToString(z.Name)) == zone && (z.Config == nil || !z.Config.PrivateZone) {
			ids = append(ids, aws.ToString(z.Id))
		}
	}
	switch len(ids) {
	case 1:
		return strings.TrimPrefix(ids[0], "/hostedzone/"), nil
	case 0:
		return "", fmt.Errorf("%w: the account has no public hosted zone %s", ErrZone, zone)
	}
	return "", fmt.Errorf("%w: the account has %d public hosted zones %s (%s), and which one counts isn't known", ErrZone, len(ids), zone, strings.Join(ids, ", "))
}

func (d *awsDNS) read(ctx context.Context, zone, name string) ([]value, string, error) {
	id, err := d.zoneID(ctx, zone)
	if err != nil {
		return nil, "", err
	}
	var values []value
	alias := ""
	for start, startType := aws.String(name+"."), types.RRType(""); ; {
		page, err := d.client.ListResourceRecordSets(ctx, &route53.ListResourceRecordSetsInput{
			HostedZoneId: aws.String(id), StartRecordName: start, StartRecordType: startType, MaxItems: aws.Int32(100),
		})
		if err != nil {
			return nil, "", awsFault(err)
		}
		for _, s := range page.ResourceRecordSets {
			if canonical(aws.ToString(s.Name)) != name {
				continue
			}
			switch {
			case s.Type == types.RRTypeCname:
				alias = "another name"
				if len(s.ResourceRecords) > 0 {
					alias = aws.ToString(s.ResourceRecords[0].Value)
				}
			case s.Type == types.RRTypeTxt && (s.SetIdentifier != nil || s.AliasTarget != nil):
				return nil, "", fmt.Errorf("%w: its TXT record has a routing policy or is an alias record at Route 53: change it by hand", ErrCannot)
			case s.Type == types.RRTypeTxt:
				values = append(values, awsValues(s)...)
			}
		}
		if !page.IsTruncated || canonical(aws.ToString(page.NextRecordName)) != name {
			return values, alias, nil
		}
		start, startType = page.NextRecordName, page.NextRecordType
	}
}

func awsValues(s types.ResourceRecordSet) []value {
	var values []value
	for _, r := range s.ResourceRecords {
		raw := aws.ToString(r.Value)
		values = append(values, value{text: awsText(raw), raw: raw, ttl: time.Duration(aws.ToInt64(s.TTL)) * time.Second})
	}
	return values
}

func (d *awsDNS) write(ctx context.Context, zone string, c Change) error {
	id, err := d.zoneID(ctx, zone)
	if err != nil {
		return err
	}
	var before, after []string
	for _, v := range c.was {
		before = append(before, v.raw)
	}
	for _, v := range c.staying() {
		after = append(after, v.raw)
	}
	for _, text := range c.Add {
		after = append(after, awsQuoted(text))
	}
	var batch []types.Change
	if len(before) > 0 {
		batch = append(batch, awsChange(types.ChangeActionDelete, c.Name, c.was[0].ttl, before))
	}
	if len(after) > 0 {
		batch = append(batch, awsChange(types.ChangeActionCreate, c.Name, c.TTL, after))
	}
	_, err = d.client.ChangeResourceRecordSets(ctx, &route53.ChangeResourceRecordSetsInput{
		HostedZoneId: aws.String(id), ChangeBatch: &types.ChangeBatch{Changes: batch},
	})
	return awsFault(err)
}

func awsChange(action types.ChangeAction, name string, ttl time.Duration, values []string) types.Change {
	set := &types.ResourceRecordSet{Name: aws.String(name + "."), Type: types.RRTypeTxt, TTL: aws.Int64(int64(ttl / time.Second))}
	for _, v := range values {
		set.ResourceRecords = append(set.ResourceRecords, types.ResourceRecord{Value: aws.String(v)})
	}
	return types.Change{Action: action, ResourceRecordSet: set}
}

// awsFault says what an error of Route 53 means.
func awsFault(err error) error {
	var batch *types.InvalidChangeBatch
	var api smithy.APIError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &batch):
		reasons := strings.Join(append(batch.Messages, aws.ToString(batch.Message)), " ")
		if strings.Contains(reasons, "not found") || strings.Contains(reasons, "already exists") || strings.Contains(reasons, "do not match") {
			return fmt.Errorf("%w in this moment: nothing was written, run it again (Route 53: %s)", ErrChanged, strings.TrimSpace(reasons))
		}
		return fmt.Errorf("refused by Route 53: %s", strings.TrimSpace(reasons))
	case !errors.As(err, &api):
		if strings.Contains(err.Error(), "get credentials") {
			return fmt.Errorf("%w: AWS's files and environment have no access key: set key_id and the secret, or run aws configure (%w)", ErrLogin, err)
		}
		return err
	}
	switch api.ErrorCode() {
	case "AccessDenied", "AccessDeniedException", "InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken", "UnrecognizedClientException", "MissingAuthenticationToken":
		return fmt.Errorf("%w: the access key is unknown, its secret is wrong, or it lacks route53:ListHostedZonesByName, ListResourceRecordSets or ChangeResourceRecordSets (Route 53: %s)", ErrLogin, api.ErrorMessage())
	case "NoSuchHostedZone":
		return fmt.Errorf("%w: %w", ErrZone, err)
	}
	return fmt.Errorf("refused by Route 53: %s: %s", api.ErrorCode(), api.ErrorMessage())
}
