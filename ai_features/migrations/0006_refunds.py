
import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ai_features', '0005_seals'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Dispute',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('paystack_id', models.CharField(max_length=20, unique=True, verbose_name='Paystack id')),
                ('status', models.CharField(choices=[('open', 'open'), ('won', 'won: the payment stays'), ('lost', 'lost: the payer has the money back')], default='open', max_length=10, verbose_name='status')),
                ('paystack_status', models.CharField(blank=True, default='', max_length=40, verbose_name="Paystack's status")),
                ('resolution', models.CharField(blank=True, default='', max_length=40, verbose_name='resolution')),
                ('category', models.CharField(blank=True, default='', max_length=40, verbose_name='category')),
                ('amount_minor', models.BigIntegerField(blank=True, null=True, verbose_name='amount')),
                ('currency', models.CharField(blank=True, default='', max_length=3, verbose_name='currency')),
                ('credits_frozen', models.BigIntegerField(default=0, verbose_name='credits frozen')),
                ('due_at', models.DateTimeField(blank=True, null=True, verbose_name='to be answered by')),
                ('opened_at', models.DateTimeField(verbose_name='opened')),
                ('ended_at', models.DateTimeField(blank=True, null=True, verbose_name='ended')),
            ],
            options={
                'verbose_name': 'dispute',
                'verbose_name_plural': 'disputes',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='Refund',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reference', models.CharField(max_length=100, verbose_name='reference')),
                ('status', models.CharField(choices=[('pending', 'asked for'), ('processing', 'on its way'), ('processed', 'refunded'), ('failed', 'failed'), ('needs_attention', "needs the payer's account")], default='pending', max_length=20, verbose_name='status')),
                ('paystack_id', models.CharField(blank=True, max_length=20, null=True, unique=True, verbose_name='Paystack id')),
                ('amount_minor', models.BigIntegerField(verbose_name='amount')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('refund_reference', models.CharField(blank=True, default='', max_length=100, verbose_name="Paystack's reference")),
                ('reason', models.CharField(blank=True, default='', max_length=300, verbose_name='reason')),
                ('problem', models.CharField(blank=True, default='', max_length=300, verbose_name='problem')),
                ('idempotency_key', models.CharField(blank=True, max_length=100, null=True, verbose_name='idempotency key')),
                ('credits', models.BigIntegerField(default=0, verbose_name='credits')),
                ('credits_taken', models.BigIntegerField(default=0, verbose_name='from its own lots')),
                ('credits_from_others', models.BigIntegerField(default=0, verbose_name='from other lots')),
                ('credits_owed', models.BigIntegerField(default=0, verbose_name='turned into debt')),
                ('credits_forgiven', models.BigIntegerField(default=0, verbose_name='forgiven')),
                ('credits_expired', models.BigIntegerField(default=0, verbose_name='had expired')),
                ('taken_at', models.DateTimeField(blank=True, help_text='Empty: the purchase had given none.', null=True, verbose_name='credits taken')),
                ('asked_at', models.DateTimeField(verbose_name='asked')),
                ('ended_at', models.DateTimeField(blank=True, null=True, verbose_name='ended')),
            ],
            options={
                'verbose_name': 'refund',
                'verbose_name_plural': 'refunds',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='ReviewItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('wrong_amount', 'another amount than sold'), ('wrong_currency', 'another currency than sold'), ('wrong_mode', 'another mode than sold'), ('wrong_reference', 'an answer for another reference'), ('reversed', 'the money went back before credits were given'), ('unknown_reference', 'a payment that belongs to no purchase'), ('paid_after_refund', 'paid again after a refund'), ('paid_again', 'paid again under the same reference'), ('second_payment', 'perhaps paid twice for one order'), ('refund_contradicts', 'a refund that ended otherwise than Paystack first said')], max_length=20, verbose_name='why')),
                ('status', models.CharField(choices=[('open', 'open'), ('accepted', 'accepted'), ('refunded', 'refunded'), ('dismissed', 'dismissed')], default='open', max_length=10, verbose_name='status')),
                ('reference', models.CharField(max_length=100, verbose_name='reference')),
                ('explanation', models.CharField(blank=True, default='', max_length=300, verbose_name='explanation')),
                ('amount_minor', models.BigIntegerField(blank=True, null=True, verbose_name='amount paid')),
                ('currency', models.CharField(blank=True, default='', max_length=3, verbose_name='currency paid')),
                ('mode', models.CharField(blank=True, default='', max_length=10, verbose_name='mode')),
                ('paystack_id', models.CharField(blank=True, default='', max_length=20, verbose_name='Paystack id')),
                ('payer_email', models.CharField(blank=True, default='', max_length=254, verbose_name="payer's e-mail")),
                ('source', models.CharField(blank=True, default='', max_length=60, verbose_name='heard from')),
                ('opened_at', models.DateTimeField(auto_now_add=True, verbose_name='opened')),
                ('note', models.CharField(blank=True, default='', max_length=300, verbose_name='note')),
                ('decided_at', models.DateTimeField(blank=True, null=True, verbose_name='decided')),
            ],
            options={
                'verbose_name': 'payment to review',
                'verbose_name_plural': 'payments to review',
                'ordering': ['-id'],
                'permissions': [('decide_reviewitem', 'Can accept, refund and dismiss payments in review')],
            },
        ),
        migrations.AlterModelOptions(
            name='purchase',
            options={'ordering': ['-id'], 'permissions': [('refund_purchase', 'Can refund purchases')], 'verbose_name': 'purchase', 'verbose_name_plural': 'purchases'},
        ),
        migrations.AddField(
            model_name='lot',
            name='frozen',
            field=models.BigIntegerField(db_default=0, default=0, help_text='Taken out while a dispute about its purchase is open.', verbose_name='frozen'),
        ),
        migrations.AddField(
            model_name='purchase',
            name='refunded_minor',
            field=models.BigIntegerField(db_default=0, default=0, help_text='What Paystack has sent back, in the currency paid.', verbose_name='refunded'),
        ),
        migrations.AlterField(
            model_name='ledgerentry',
            name='kind',
            field=models.CharField(choices=[('purchase', 'purchase'), ('bonus', 'bonus'), ('grant', 'grant'), ('spend', 'spend'), ('capture', 'capture'), ('expiry', 'expiry'), ('debt_payment', 'debt payment'), ('refund', 'refund'), ('refund_failed', 'refund failed, given back'), ('dispute', 'frozen for a dispute'), ('dispute_release', 'released from a dispute')], max_length=20, verbose_name='kind'),
        ),
        migrations.AlterField(
            model_name='purchase',
            name='reference',
            field=models.CharField(max_length=100, unique=True, verbose_name='reference'),
        ),
        migrations.AddConstraint(
            model_name='lot',
            constraint=models.CheckConstraint(condition=models.Q(('frozen__gte', 0), ('frozen__lte', django.db.models.expressions.CombinedExpression(models.F('amount'), '-', models.F('remaining')))), name='ai_lot_frozen_in_range'),
        ),
        migrations.AddConstraint(
            model_name='purchase',
            constraint=models.CheckConstraint(condition=models.Q(('refunded_minor__gte', 0)), name='ai_purchase_refunded_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='purchase',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status__in', ['partially_refunded', 'refunded']), _negated=True), ('refunded_minor__gt', 0), _connector='OR'), name='ai_purchase_refunded_has_an_amount'),
        ),
        migrations.AddField(
            model_name='dispute',
            name='purchase',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='disputes', to='ai_features.purchase'),
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='dispute',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='ai_features.dispute'),
        ),
        migrations.AddField(
            model_name='refund',
            name='dispute',
            field=models.ForeignKey(blank=True, help_text='Where a dispute sent the money back.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='ai_features.dispute'),
        ),
        migrations.AddField(
            model_name='refund',
            name='purchase',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='ai_features.purchase'),
        ),
        migrations.AddField(
            model_name='refund',
            name='requested_by',
            field=models.ForeignKey(blank=True, help_text="Empty: made in Paystack's dashboard, or by the host.", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='requested by'),
        ),
        migrations.AddField(
            model_name='ledgerentry',
            name='refund',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='ai_features.refund'),
        ),
        migrations.AddIndex(
            model_name='ledgerentry',
            index=models.Index(condition=models.Q(('kind', 'expiry')), fields=['lot'], name='ai_entry_expiry_of_lot'),
        ),
        migrations.AddIndex(
            model_name='ledgerentry',
            index=models.Index(condition=models.Q(('dispute__isnull', False)), fields=['dispute', 'lot'], name='ai_entry_of_dispute'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.UniqueConstraint(condition=models.Q(('lot__isnull', False), ('refund__isnull', False)), fields=('refund', 'kind', 'lot'), name='ai_entry_refund_once_a_lot'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.UniqueConstraint(condition=models.Q(('lot__isnull', True), ('refund__isnull', False)), fields=('refund', 'kind'), name='ai_entry_refund_once'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('amount__lt', 0), ('kind', 'refund'), ('refund__isnull', False)), models.Q(('amount__gt', 0), ('kind', 'refund_failed'), ('refund__isnull', False)), models.Q(('refund__isnull', True), models.Q(('kind__in', ['refund', 'refund_failed']), _negated=True)), _connector='OR'), name='ai_entry_refund_has_a_refund'),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('amount__lt', 0), ('dispute__isnull', False), ('kind', 'dispute'), ('lot__isnull', False)), models.Q(('amount__gt', 0), ('dispute__isnull', False), ('kind', 'dispute_release'), ('lot__isnull', False)), models.Q(('dispute__isnull', True), models.Q(('kind__in', ['dispute', 'dispute_release']), _negated=True)), _connector='OR'), name='ai_entry_dispute_has_a_dispute'),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='decided_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='decided by'),
        ),
        migrations.AddField(
            model_name='reviewitem',
            name='purchase',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='review_items', to='ai_features.purchase'),
        ),
        migrations.AddIndex(
            model_name='dispute',
            index=models.Index(condition=models.Q(('status', 'open')), fields=['due_at'], name='ai_dispute_open'),
        ),
        migrations.AddConstraint(
            model_name='dispute',
            constraint=models.CheckConstraint(condition=models.Q(('paystack_id', ''), _negated=True), name='ai_dispute_paystack_id_not_empty'),
        ),
        migrations.AddConstraint(
            model_name='dispute',
            constraint=models.CheckConstraint(condition=models.Q(('amount_minor__isnull', True), ('amount_minor__gte', 0), _connector='OR'), name='ai_dispute_amount_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='dispute',
            constraint=models.CheckConstraint(condition=models.Q(('credits_frozen__gte', 0)), name='ai_dispute_frozen_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='dispute',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('ended_at__isnull', True), ('status', 'open')), models.Q(('credits_frozen', 0), ('ended_at__isnull', False), ('status__in', ['won', 'lost'])), _connector='OR'), name='ai_dispute_ended_freezes_nothing'),
        ),
        migrations.AddIndex(
            model_name='refund',
            index=models.Index(fields=['reference'], name='ai_refund_of_reference'),
        ),
        migrations.AddIndex(
            model_name='refund',
            index=models.Index(condition=models.Q(('status__in', ['pending', 'processing', 'needs_attention'])), fields=['asked_at'], name='ai_refund_open'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.UniqueConstraint(condition=models.Q(('idempotency_key__isnull', False)), fields=('reference', 'idempotency_key'), name='ai_refund_key_used_once'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(('amount_minor__gt', 0)), name='ai_refund_amount_positive'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(('paystack_id', ''), _negated=True), name='ai_refund_paystack_id_not_empty'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(('credits_expired__gte', 0), ('credits_forgiven__gte', 0), ('credits_from_others__gte', 0), ('credits_owed__gte', 0), ('credits_taken__gte', 0)), name='ai_refund_credits_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(('credits', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F('credits_taken'), '+', models.F('credits_from_others')), '+', models.F('credits_owed')), '+', models.F('credits_forgiven')), '+', models.F('credits_expired')))), name='ai_refund_credits_add_up'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(('taken_at__isnull', False), ('credits', 0), _connector='OR'), name='ai_refund_taken_has_a_date'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('ended_at__isnull', False), ('status__in', ['processed', 'failed'])), models.Q(('ended_at__isnull', True), ('status__in', ['pending', 'processing', 'needs_attention'])), _connector='OR'), name='ai_refund_ended_has_a_date'),
        ),
        migrations.AddIndex(
            model_name='reviewitem',
            index=models.Index(fields=['reference'], name='ai_review_of_reference'),
        ),
        migrations.AddIndex(
            model_name='reviewitem',
            index=models.Index(condition=models.Q(('status', 'open')), fields=['opened_at'], name='ai_review_open'),
        ),
        migrations.AddConstraint(
            model_name='reviewitem',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'open')), fields=('reference', 'kind'), name='ai_review_one_open_of_a_kind'),
        ),
        migrations.AddConstraint(
            model_name='reviewitem',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_at__isnull', True), ('status', 'open')), models.Q(('decided_at__isnull', False), ('decided_by__isnull', False), models.Q(('note', ''), _negated=True)), _connector='OR'), name='ai_review_decided_says_who_and_why'),
        ),
    ]
