-- Run once by the image of MySQL, beside MYSQL_USER and MYSQL_PASSWORD: migrations make the schemas of four shards.
GRANT ALL PRIVILEGES ON `stockgate\_%`.* TO 'stockgate'@'%';
