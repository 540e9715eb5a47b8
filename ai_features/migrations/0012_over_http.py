from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ai_features', '0011_indexes_once'),
    ]

    operations = [
        migrations.AddField(
            model_name='reservation',
            name='over_http',
            field=models.BooleanField(db_default=False, default=False, verbose_name='over HTTP'),
        ),
        migrations.AlterField(
            model_name='idempotencykey',
            name='key',
            field=models.CharField(max_length=110, verbose_name='idempotency key'),
        ),
    ]
