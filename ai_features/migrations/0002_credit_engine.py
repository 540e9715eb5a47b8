from typing import Any

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

from ai_features.money import to_credits


def copy_keys(apps: Any, schema_editor: Any) -> None:
    """Keys of grants stood in the entries themselves; they keep their meaning."""
    database = schema_editor.connection.alias
    entries = apps.get_model("ai_features", "LedgerEntry").objects.using(database)
    keys = apps.get_model("ai_features", "IdempotencyKey").objects.using(database)
    keyed = entries.exclude(idempotency_key=None).order_by("id")
    rows = keyed.values_list("wallet_id", "idempotency_key", "id", "amount", "balance_after").iterator()
    keys.bulk_create(
        (
            keys.model(
                wallet_id=wallet_id,
                key=key,
                request={"operation": "grant", "credits": format(to_credits(amount), "f")},
                answer={"ids": [entry_id], "balance": balance_after},
            )
            for wallet_id, key, entry_id, amount, balance_after in rows
        ),
        batch_size=1000,
    )


class Migration(migrations.Migration):

    dependencies = [
        ('ai_features', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='FeaturePrice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.SlugField(max_length=60, unique=True, verbose_name='code')),
                ('name', models.CharField(blank=True, default='', max_length=80, verbose_name='name')),
                ('per_call', models.BigIntegerField(default=0, validators=[django.core.validators.MinValueValidator(0)], verbose_name='per call')),
                ('per_unit', models.BigIntegerField(default=0, validators=[django.core.validators.MinValueValidator(0)], verbose_name='per unit')),
                ('per_1000_tokens_in', models.BigIntegerField(default=0, validators=[django.core.validators.MinValueValidator(0)], verbose_name='per 1,000 tokens in')),
                ('per_1000_tokens_out', models.BigIntegerField(default=0, validators=[django.core.validators.MinValueValidator(0)], verbose_name='per 1,000 tokens out')),
                ('is_active', models.BooleanField(default=True, verbose_name='in use')),
            ],
            options={
                'verbose_name': 'feature price',
                'verbose_name_plural': 'feature prices',
                'ordering': ['code'],
            },
        ),
        migrations.CreateModel(
            name='IdempotencyKey',
            fields=[
                ('pk', models.CompositePrimaryKey('wallet_id', 'key', blank=True, editable=False, primary_key=True, serialize=False)),
                ('wallet', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='ai_features.wallet')),
                ('key', models.CharField(max_length=100, verbose_name='idempotency key')),
                ('request', models.JSONField(verbose_name='request')),
                ('answer', models.JSONField(verbose_name='answer')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created')),
            ],
            options={
                'verbose_name': 'idempotency key',
                'verbose_name_plural': 'idempotency keys',
            },
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('wallet', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='notices', to='ai_features.wallet')),
                ('kind', models.CharField(choices=[('low', 'low balance'), ('depleted', 'depleted'), ('expiring', 'credits about to expire')], max_length=10, verbose_name='kind')),
                ('day', models.DateField(verbose_name='day')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created')),
            ],
            options={
                'verbose_name': 'notice',
                'verbose_name_plural': 'notices',
            },
        ),
        migrations.CreateModel(
            name='Reservation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('wallet', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='reservations', to='ai_features.wallet')),
                ('member', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('status', models.CharField(choices=[('open', 'open'), ('captured', 'captured'), ('released', 'released'), ('expired', 'expired')], db_default='open', default='open', max_length=10, verbose_name='status')),
                ('credits', models.BigIntegerField(verbose_name='credits')),
                ('captured', models.BigIntegerField(db_default=0, default=0, verbose_name='captured')),
                ('overdue', models.BigIntegerField(db_default=0, default=0, verbose_name='overdue')),
                ('feature', models.CharField(blank=True, db_default='', default='', max_length=60, verbose_name='feature')),
                ('token', models.CharField(blank=True, db_default='', default='', max_length=64, verbose_name='token')),
                ('expires_at', models.DateTimeField(verbose_name='expires')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created')),
                ('ended_at', models.DateTimeField(blank=True, null=True, verbose_name='ended')),
            ],
            options={
                'verbose_name': 'reservation',
                'verbose_name_plural': 'reservations',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='SpendingCap',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('wallet', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='caps', to='ai_features.wallet')),
                ('scope', models.CharField(choices=[('token', 'API token'), ('member', 'member'), ('feature', 'feature')], max_length=10, verbose_name='of what')),
                ('subject', models.CharField(help_text="The token's key (its first characters), the user's id, the feature's code.", max_length=64, verbose_name='of which')),
                ('period', models.CharField(choices=[('day', 'day'), ('month', 'month')], max_length=10, verbose_name='period')),
                ('limit', models.BigIntegerField(help_text='Micro-credits.', validators=[django.core.validators.MinValueValidator(0)], verbose_name='limit')),
                ('used', models.BigIntegerField(default=0, verbose_name='used')),
                ('period_start', models.DateField(verbose_name='since')),
            ],
            options={
                'verbose_name': 'spending cap',
                'verbose_name_plural': 'spending caps',
            },
        ),
        migrations.CreateModel(
            name='UsageDay',
            fields=[
                ('pk', models.CompositePrimaryKey('wallet_id', 'day', 'feature', blank=True, editable=False, primary_key=True, serialize=False)),
                ('wallet', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='ai_features.wallet')),
                ('day', models.DateField(verbose_name='day')),
                ('feature', models.CharField(max_length=60, verbose_name='feature')),
                ('credits', models.BigIntegerField(verbose_name='credits')),
                ('calls', models.BigIntegerField(verbose_name='calls')),
            ],
            options={
                'verbose_name': 'usage of a day',
                'verbose_name_plural': 'usage by day',
            },
        ),
        migrations.CreateModel(
            name='UsageMark',
            fields=[
                ('wallet', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='+', serialize=False, to='ai_features.wallet')),
                ('entry_id', models.BigIntegerField(default=0)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name='wallet',
            name='ai_wallet_balance_in_range',
        ),
        migrations.RemoveIndex(
            model_name='lot',
            name='ai_lot_with_something_left',
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='feature',
            field=models.CharField(blank=True, db_default='', default='', max_length=60, verbose_name='feature'),
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='member',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, help_text='Whose call it was, where a team shares the wallet.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='metadata',
            field=models.JSONField(blank=True, help_text="The app's own note on the call; emptied by redaction.", null=True, verbose_name='metadata'),
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='pricing',
            field=models.JSONField(blank=True, help_text='What the feature cost when it was charged, and how much of it.', null=True, verbose_name='price'),
        ),
        migrations.AddField(
            model_name='wallet',
            name='is_capped',
            field=models.BooleanField(default=False, verbose_name='has spending caps'),
        ),
        migrations.AddField(
            model_name='wallet',
            name='low_balance',
            field=models.BigIntegerField(blank=True, help_text="Micro-credits below which a notice is sent; empty: the site's setting.", null=True, verbose_name='low balance'),
        ),
        migrations.AddField(
            model_name='wallet',
            name='overdue',
            field=models.BigIntegerField(default=0, help_text='Micro-credits past their expiry, kept for an open reservation.', verbose_name='overdue'),
        ),
        migrations.AlterField(
            model_name='ledgerentry',
            name='kind',
            field=models.CharField(choices=[('purchase', 'purchase'), ('bonus', 'bonus'), ('grant', 'grant'), ('spend', 'spend'), ('capture', 'capture'), ('expiry', 'expiry'), ('debt_payment', 'debt payment')], max_length=20, verbose_name='kind'),
        ),
        migrations.AlterField(
            model_name='wallet',
            name='next_expiry_at',
            field=models.DateTimeField(blank=True, help_text='Earliest expiry among lots with something left, overdue ones apart.', null=True, verbose_name='next expiry'),
        ),
        migrations.AddIndex(
            model_name='lot',
            index=models.Index(models.F('wallet'), models.F('expires_at'), models.ExpressionWrapper(models.Q(('source', 'purchased')), output_field=models.BooleanField()), models.F('id'), condition=models.Q(('remaining__gt', 0)), name='ai_lot_in_order_of_use'),
        ),
        migrations.AddConstraint(
            model_name='wallet',
            constraint=models.CheckConstraint(condition=models.Q(('overdue__gte', 0), ('overdue__lte', models.F('held'))), name='ai_wallet_overdue_is_held'),
        ),
        migrations.AddConstraint(
            model_name='wallet',
            constraint=models.CheckConstraint(condition=models.Q(('balance__lte', 9000000000000000000), ('debt__lte', 9000000000000000000)), name='ai_wallet_balance_in_range'),
        ),
        migrations.AddConstraint(
            model_name='featureprice',
            constraint=models.CheckConstraint(condition=models.Q(('per_1000_tokens_in__gte', 0), ('per_1000_tokens_out__gte', 0), ('per_call__gte', 0), ('per_unit__gte', 0)), name='ai_feature_price_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='featureprice',
            constraint=models.CheckConstraint(condition=models.Q(('per_call__gt', 0), ('per_unit__gt', 0), ('per_1000_tokens_in__gt', 0), ('per_1000_tokens_out__gt', 0), _connector='OR'), name='ai_feature_price_costs_something'),
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='reservation',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='ai_features.reservation'),
        ),
        migrations.AddConstraint(
            model_name='notice',
            constraint=models.UniqueConstraint(fields=('wallet', 'kind', 'day'), name='ai_notice_once_a_day'),
        ),
        migrations.AddIndex(
            model_name='reservation',
            index=models.Index(fields=['wallet', 'id'], name='ai_reservation_of_wallet'),
        ),
        migrations.AddIndex(
            model_name='reservation',
            index=models.Index(condition=models.Q(('status', 'open')), fields=['wallet', 'expires_at'], name='ai_reservation_open_of_wallet'),
        ),
        migrations.AddIndex(
            model_name='reservation',
            index=models.Index(condition=models.Q(('status', 'open')), fields=['expires_at'], name='ai_reservation_open'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(('credits__gte', 0)), name='ai_reservation_credits_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(('captured__gte', 0)), name='ai_reservation_captured_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(('overdue__gte', 0), ('overdue__lte', models.F('credits'))), name='ai_reservation_overdue_in_range'),
        ),
        migrations.AddConstraint(
            model_name='spendingcap',
            constraint=models.UniqueConstraint(fields=('wallet', 'scope', 'subject', 'period'), name='ai_cap_once'),
        ),
        migrations.AddConstraint(
            model_name='spendingcap',
            constraint=models.CheckConstraint(condition=models.Q(('limit__gte', 0)), name='ai_cap_limit_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='spendingcap',
            constraint=models.CheckConstraint(condition=models.Q(('used__gte', 0)), name='ai_cap_used_not_negative'),
        ),
        migrations.AddIndex(
            model_name='ledgerentry',
            index=models.Index(condition=models.Q(('reservation__isnull', False)), fields=['reservation'], name='ai_entry_of_reservation'),
        ),
        migrations.AddIndex(
            model_name='ledgerentry',
            index=models.Index(condition=models.Q(('metadata__isnull', False)), fields=['created_at'], name='ai_entry_to_redact'),
        ),
        migrations.RunPython(copy_keys, migrations.RunPython.noop),
        migrations.RemoveConstraint(
            model_name='ledgerentry',
            name='ai_entry_key_used_once',
        ),
        migrations.RemoveField(
            model_name='ledgerentry',
            name='idempotency_key',
        ),
    ]
