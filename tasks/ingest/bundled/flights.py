"""Corpus C: the bot of a flight desk. Only vocabulary; `grammar.py` explains the notation.

Airlines are named as travellers name them; flight and order numbers are invented.
"""

TOPICS = """
退票: how* where can* why* fee* rule* deadline* late* progress fail undo partial* phone arrive* account* less*
  + notice
  + invoice points coupon cover force* docs proxy | 儿童票 国际机票 特价机票 往返机票 联程机票 里程兑换的机票
  + 团队票 公务舱
  退票 退机票 退掉机票 机票退订 退飞机票 把票退了
  ~ 不飞了 不想去了 取消行程 去不成了把钱拿回来 这趟不坐了
改签: how* where can* why* fee* rule* deadline* late* progress fail undo again* partial* phone less notice
  + invoice points
  + gap* force* proxy duration coupon | 儿童票 国际机票 特价机票 往返机票 联程机票 里程兑换的机票 团队票
  + 公务舱
  改签 机票改签 改期 改航班 改日期 换一班
  ~ 换个时间飞 往后推一天 提前一天走 挪到{date} 改成早上的航班
签转到其他航空公司: how can why fee rule deadline force | 国际机票 特价机票
  签转 签转别的航司 换航空公司 转签
  ~ 改坐{airline} 换到别家飞
办理值机/值机: how* where* can why deadline* late fail docs* proxy undo phone notice partial | 国际航班 儿童 婴儿
  + 联程航班 轮椅旅客
  值机 办值机 办登机手续 办理登机 网上值机 在线值机
  ~ 换登机牌 打登机牌 check in 办乘机手续
取消值机: how can why deadline fail notice
  取消值机 退值机 撤销值机
  ~ 把登机牌退掉 值机撤了
选座: how* where can* why* fee* rule deadline fail undo again notice | 国际航班 儿童 共享航班 公务舱
  选座 选座位 挑座位 预选座位 在线选座
  ~ 坐一起 要靠窗的 弄个过道位 前排坐
换座位: how can why fee deadline fail
  换座位 换座 调座位 改座位
  ~ 跟家人挨着坐 从中间换到窗边
购买机票/买机票: how* where can* why docs* proxy* rule* fail phone limit notice deadline | 儿童 婴儿 孕妇 军人 外国人
  + 无陪老人
  买机票 购票 订机票 订票 买票 预订机票
  ~ 出票 下单飞机票 给家里人买飞机票
支付机票订单: how can why fail late again undo notice deadline
  支付 付款 付钱 机票支付 支付订单
  ~ 刷信用卡 用花呗付 分期付 扫码付
取消机票订单: how can why fee late progress undo partial arrive
  取消订单 取消机票订单 订单取消
  ~ 把单子撤了 还没付款不要了 删掉订单
候补机票: how can rule fail progress undo duration arrive
  候补 机票候补 候补票 抢票
  ~ 等别人退了给我 排队等票
升舱: how* where can* why fee* rule* deadline fail undo points gap* partial | 国际机票 特价机票 里程兑换的机票
  + 往返机票
  升舱 升级舱位 升公务舱 升头等舱 换头等舱
  ~ 坐前面大座 经济舱换好座
修改乘机人姓名/修改姓名: how* can* why fee* deadline docs phone rule duration | 儿童票 国际机票 团队票
  改名字 改姓名 修改姓名 更改乘机人姓名 改乘客名字
  ~ 名字拼音错了改过来 少写一个字改一下
修改证件号码: how* can* why fee deadline docs phone | 儿童票 国际机票
  改证件号 改身份证号 修改证件 改护照号
  ~ 换了新护照更新一下 身份证最后一位错了改掉
修改联系电话: how can why fail notice
  改手机号 改联系电话 修改联系方式 换手机号
  ~ 号码停用了换一个收短信
办理行李托运/托运行李: how* where can* why fee* rule* deadline* docs proxy late | 国际航班 联程航班 婴儿 廉价航空
  托运行李 行李托运 托运 寄行李 办托运
  ~ 把箱子送上飞机 大箱子交给柜台
购买额外行李额: how* where can why fee* rule deadline* undo again arrive | 国际航班 儿童 廉价航空
  买行李额 加行李额 购买行李 加购行李 买托运额度
  ~ 多带{num}公斤 箱子重了加点钱
里程兑换机票: how can why fee rule proxy fail undo
  里程换机票 里程兑换 积分换票 里程换票 用里程买票
  ~ 拿积分抵一张票 攒的里程花掉
补登里程: how where can why deadline docs duration progress fail proxy
  补登里程 里程补登 补积分 补录里程
  ~ 上次飞的没积上补一下 漏记的里程加回来
办理延误证明: how where can why docs proxy duration late | 国际航班
  开延误证明 延误证明 航班延误证明 开不正常证明
  ~ 给单位交个飞机晚点的条子
申请无成人陪伴儿童服务: how where can fee rule deadline docs undo late
  无陪儿童 无成人陪伴儿童 儿童托管乘机 无人陪儿童
  ~ 孩子一个人飞 小孩自己坐飞机
申请轮椅服务: how where can fee rule deadline docs undo phone
  轮椅服务 申请轮椅 要轮椅 预订轮椅
  ~ 我爸腿脚不好要人推 走不了路需要推车
申请航班延误赔偿: how where can why rule deadline docs proxy duration progress fail arrive less | 国际航班
  延误赔偿 申请延误赔偿 晚点赔偿 航延赔付
  ~ 飞机晚了要个说法 耽误我一天赔我钱
申请退还机场建设费: how can why deadline arrive
  退机建费 退税费 退机场建设费 退燃油费
  ~ 把机建燃油拿回来
办理中转: how* where can* fee rule docs* late | 国际航班 联程航班
  中转 转机 办中转 转飞机 中转手续
  ~ 在{city}倒一趟飞机
行李直挂: how* can* why fee rule docs | 国际航班 联程航班
  行李直挂 行李直达 行李联运 直挂
  ~ 中间不用拿箱子 箱子直接到终点
乘坐飞机: can* rule* docs* | 孕妇 新生儿 老人 残疾人 刚做完手术的人 外国人 临时身份证
  坐飞机 乘机 登机 乘飞机
  ~ 上飞机 飞过去
申请机上特殊餐食: how* can* fee deadline* undo late | 国际航班 儿童 公务舱
  特殊餐 订特殊餐 申请特殊餐食 预订素食餐 清真餐
  ~ 不吃猪肉备注一下 吃素的打个招呼
领取电子行程单/领取行程单: how* where can why fee deadline* late docs proxy* fail | 国际机票 儿童票
  领行程单 打印行程单 拿行程单 开行程单
  ~ 报销用的那张纸拿一下 票据打出来
开机票发票/开发票: how* where can why fee deadline* late duration progress fail | 国际机票 往返机票 团队票
  开发票 开机票发票 开票 要发票 机票发票
  ~ 公司抬头开一张 报销要票
取消航班保险: how can why deadline arrive account
  退保险 取消保险 退保 取消航意险
  ~ 被默认勾了保险退了
理赔延误险: how where can why deadline docs proxy duration progress fail arrive less
  延误险理赔 延误险赔付 赔延误险 申请延误险
  ~ 买了晚点险报一下
注销账号: how can why undo duration docs
  注销账号 注销账户 销户 删账号
  ~ 不用你们app了把资料删了
登录账号: how why fail docs
  登录 登陆 登录账号 登app
  ~ 进自己的账号
更换绑定手机号: how can why fail docs duration
  换绑手机 更换绑定手机 换手机绑定 改绑定号码
  ~ 旧手机号没了换新号
添加常用乘机人: how can why fail limit undo
  加乘机人 添加乘机人 添加常用旅客 新增乘客
  ~ 把我爸妈信息存进去
机票: price* check amend | 儿童+ 婴儿+ 学生+ 军人+ 老人+ 往返+ 联程+
  机票 飞机票 票 去{city}的票
  ~ 飞{city}的位子
儿童票: price* have* who* book* gain quota amend | 国际航班 特价机票 公务舱
  儿童票 小孩票 孩子的票 小朋友机票
  ~ {num}岁娃的票 半价票
婴儿票: price* have who* book* quota amend | 国际航班 特价机票
  婴儿票 宝宝票 不满两岁的票
  ~ 抱在手里的娃那张票
免费托运行李额: have* quota* who* check* | 国际航班 儿童 婴儿 公务舱 联程航班 廉价航空 学生 特价机票
  免费行李额 行李额 托运额度 免费托运 行李重量
  ~ 能托多少公斤 不花钱能托几斤
随身行李: quota* carry* lost | 国际航班 廉价航空 公务舱 婴儿
  随身行李 手提行李 登机箱 手提箱
  ~ 20寸的箱子 背包加电脑包
超重行李: price* send* quota | 国际航班 廉价航空 联程航班
  超重行李 行李超重 超重箱子 逾重行李
  ~ 箱子多出{num}公斤
托运的行李: lost miss check delay | 国际航班 联程航班
  托运行李 托运的箱子 行李 行李箱
  ~ 转盘上的箱子 交给你们的箱子
登机牌: lost gain check use valid bad*  mixup | 国际航班 联程航班
  登机牌 电子登机牌 登机卡 登机牌二维码
  ~ 上飞机那张小票
电子行程单/行程单: lost miss check valid amend have* price | 国际机票 里程兑换的机票
  行程单 电子行程单 机票行程单 报销单
  ~ 蓝色那张报销凭证
机票发票: lost miss check amend have valid
  发票 机票发票 电子发票 专票
  ~ 报销的票据
航班: delay* halt* check* mixup | 国际+ 联程+ 中转+ 共享+ 早班+ 红眼+
  航班 飞机 {flight} 班机 我的航班
  ~ {date}飞{city}那班
航班动态: check miss have
  航班动态 航班信息 起飞时间 航班状态
  ~ {flight}飞了没
登机口: place check hours mixup | 国际航班
  登机口 登机门 几号登机口
  ~ 从哪个口上飞机
航站楼: place check mixup | 国际航班
  航站楼 候机楼 几号航站楼 T几
  ~ {city}机场坐哪个楼
值机柜台: place hours | 国际航班
  值机柜台 柜台 办登机的柜台 人工柜台
  ~ {airline}在哪排队
贵宾休息室: have* price* free* hours place book* drop who* quota gripe use | 国际航班 公务舱 金卡会员
  贵宾厅 休息室 vip休息室 vip厅 贵宾室
  ~ 候机时吃东西歇脚的地方
快速安检通道: have price free place book who* use gripe | 金卡会员 公务舱
  快速安检 快速通道 vip安检 优先安检
  ~ 安检不排队的那个口
接机服务: have price free hours book drop amend who delay gripe place use unserved
  接机 接机服务 机场接机 接机的车
  ~ 落地有人来接
送机服务: have price free hours book drop amend who delay gripe use unserved
  送机 送机服务 去机场的车 专车送机
  ~ 家里到机场的专车
机场大巴: have price hours place book drop delay halt
  机场大巴 大巴 机场巴士 机场班车
  ~ 进市区的大客车
中转住宿: have* price free* book* drop who* amend gripe check place | 国际航班 联程航班
  中转住宿 中转酒店 免费中转酒店 转机住宿
  ~ 过夜等飞机给安排睡觉
机上餐食: have* price free* book amend who gripe unserved | 国际航班 廉价航空 儿童 公务舱
  飞机餐 机上餐食 餐食 飞机上吃的
  ~ 在天上管饭
机上wifi: have* price* free* use* bad gripe | 国际航班 公务舱
  飞机wifi 机上wifi 空中上网 飞机上的网
  ~ 在天上刷手机
机上毛毯: have* free who gripe unserved | 国际航班 公务舱
  毛毯 毯子 盖毯 小毯子
  ~ 冷气太足盖的东西
婴儿摇篮: have* price free* book* drop who quota unserved | 国际航班
  婴儿摇篮 摇篮 婴儿床 宝宝摇篮
  ~ 给宝宝躺的小床
机上充电插座: have* use bad | 国际航班 公务舱
  充电口 飞机插座 usb口 插座
  ~ 手机没电能充的地方
航空意外险: have price* free drop check valid amend who gain miss claim* | 国际航班 儿童
  航意险 航空意外险 意外险 飞机保险
  ~ 30块那个保险
航班延误险: have price drop check valid who amend claim* | 国际航班
  延误险 航延险 航班延误险 晚点险
  ~ 飞机晚了赔钱的那个险
退票险: have price drop check valid who gripe claim
  退票险 退改险 退票保险 取消险
  ~ 去不成赔手续费的保险
机票优惠券/优惠券: have gain use* check valid quota who bad | 国际机票 儿童票 往返机票
  优惠券 机票券 代金券 立减券 红包
  ~ 抵{money}块的那张
会员里程/里程: check gain* use valid miss* who quota | 国际航班 特价机票 儿童 公务舱
  里程 积分 会员里程 飞行里程
  ~ 飞一次攒的分
会员卡: gain check use valid lost amend who have price
  会员卡 金卡 银卡 会员 白金卡
  ~ 常旅客的卡
会员生日礼: have gain use valid who miss
  生日礼 生日福利 生日券 会员生日礼
  ~ 过生日送的东西
学生特惠机票: have* price* who book drop amend valid quota | 国际航班 往返+
  学生票 学生特惠 学生优惠机票 学生机票
  ~ 寒暑假便宜的票
随心飞套票: have price gain use valid who drop quota gripe bad book amend
  随心飞 套票 飞行套票 次卡 周末飞
  ~ 一口价随便飞的卡
机票盲盒: have price gain use valid who drop amend gripe
  机票盲盒 盲盒 盲盒机票 98元盲盒
  ~ 不知道去哪的那种票
低价提醒: have gain use drop bad amend
  低价提醒 降价提醒 低价通知 价格订阅
  ~ 便宜了叫我一声
价格保护: have gain use who valid miss
  价格保护 保价 价保 降价补差
  ~ 买完跌价赔给我
机票订单: check amend drop
  机票订单 订单 我的订单 单子
  ~ 刚下的那一单
验证码: miss* bad valid mixup | 登录+ 支付+
  验证码 短信验证码 校验码
  ~ 那串六位数字
乘机人证件/证件: lost* amend valid* check bad | 儿童 外国人 国际航班
  身份证 证件 护照 乘机证件
  ~ 安检看的那个证
签证: check gain price valid who amend | 国际航班 儿童
  签证 过境签 落地签 旅游签
  ~ 出国盖的那个
临时乘机证明: gain have price valid use who
  临时乘机证明 临时身份证明 电子乘机证明 乘机证明
  ~ 身份证没带开的那个证明
机场停车场: have price free place book hours quota
  机场停车 停车场 机场停车场 停车位
  ~ 开车去机场放哪
行李寄存处: have price place hours quota
  行李寄存 寄存处 存行李 寄存
  ~ 箱子放一会的地方
母婴室: have place free hours gripe
  母婴室 哺乳室 喂奶的地方
  ~ 给孩子换尿布的屋
"""

#: Things people carry: each line is one topic with the same aspects, so they are listed, not spelled out.
LISTED = """
carry* send* quota | 国际航班
充电宝/移动电源/20000毫安的充电宝 液体/水/饮料 化妆品/护肤品/香水 白酒/酒/茅台 婴儿车/推车/童车
宠物/猫/狗/小狗
奶粉/奶瓶/冲好的奶 药品/中药/胰岛素 打火机/火柴/防风打火机 刀具/水果刀/剪刀 水果/榴莲/一箱芒果
海鲜/大闸蟹/活虾
无人机/航拍机/大疆无人机 吉他/小提琴/乐器 自行车/折叠车/山地车 电动轮椅/轮椅/代步车 钓鱼竿/鱼竿/渔具
高尔夫球杆/球杆/球包 自热火锅/自热米饭 喷雾/防晒喷雾/发胶 笔记本电脑/电脑/平板 鲜花/一束花/盆栽
滑雪板/雪板/雪具 雨伞/长柄伞 肉制品/腊肉/香肠 电子烟/香烟/烟 干冰/冰袋 平衡车/电动滑板车 玻璃制品/瓷器/花瓶
"""

CONDITIONS = """
儿童票: 儿童票 小孩的票 孩子票 小朋友的
国际机票: 国际机票 国际票 出国的票 国外航线的票
特价机票: 特价票 特价机票 打折票 便宜票 {num}折的票
往返机票: 往返票 来回票 往返机票 双程票
联程机票: 联程票 联程机票 两段连着的票
里程兑换的机票: 里程换的票 积分兑换的票 里程票 奖励票
团队票: 团队票 团体票 旅行社的票 公司一起订的票
公务舱: 公务舱 头等舱 商务舱
国际航班: 国际航班 出境航班 国际的 飞国外 飞{abroad}
联程航班: 联程航班 联程 中转联程 两段飞
共享航班: 共享航班 代码共享航班 {airline}实际承运的
廉价航空: 廉航 廉价航空 低成本航空
轮椅旅客: 坐轮椅的旅客 轮椅旅客 腿受伤的人
金卡会员: 金卡 金卡会员 金卡用户
新生儿: 新生儿 刚出生的宝宝 没满月的孩子
残疾人: 残疾人 残障人士 腿脚不便的人
刚做完手术的人: 刚做完手术的人 手术后 术后没拆线
临时身份证: 临时身份证 拿临时身份证
无陪老人: 无陪老人 一个人出门的老人 老人独自
"""

CASES = """
托运的行李摔坏了怎么赔偿
  行李(箱|)(摔坏|压坏|弄坏)了(怎么赔|怎么办|赔不赔|) 箱子(轮子|拉杆|锁)坏了(找谁|赔吗|) 托运完箱子(裂|破)了
  行李破损(怎么|)(赔偿|处理|索赔)
  ~ 新买的箱子给我砸成这样 里面东西碎了谁赔
买完机票降价了可以退差价吗
  刚买完就降价了 降了{money}能退差价吗 买贵了怎么办 昨天买的今天便宜好多 (机票|)降价给补吗
  ~ 一晚上亏了{money}块，心痛，能补不 同一班现在比我买的便宜
  - 怎么又便宜了 买贵了
为什么机票价格一直在变
  机票价格怎么一直变 为什么刷新一下就涨价了 刚看还是{money}怎么涨了 (价格|票价)为什么不一样 付款的时候价格变了
  ~ 是不是大数据杀熟 我朋友看到的比我便宜
  - 怎么涨价了 价格不一样
什么时候买机票最便宜
  什么时候(买|订)(机票|票)便宜 提前多久买票划算 (暑假|过年|国庆)去{city}几月买便宜 机票哪天打折多
  ~ 想捡漏去{city} 是越早买越便宜还是临时买好
同一个航班可以重复购票吗
  同一班买了两张(怎么办|) 重复(购票|下单|买票)了(怎么办|) 不小心买重了 (一个人|同一个人)买了两张一样的票
  ~ 网卡点了两回扣了两份钱
  - 买重了
没有赶上飞机怎么办
  没赶上飞机(怎么办|) 误机了(怎么办|) (堵车|睡过头)没赶上(航班|) 登机口关了不让上 误机票还能用吗
  ~ 跑到登机口眼睁睁看着飞走了
  - 误机了 没赶上
第一程没坐第二程还能坐吗
  第一段没坐第二段还能用吗 去程没坐回程(能坐吗|还有效吗) 只坐后半段可以吗 可以跳过第一程吗 前段误了后段作废吗
航班起飞前多久停止登机
  提前多久登机 登机口几点关 起飞前多久(关门|停止登机|关舱门) 几点前要到登机口 {flight}几点停止登机
  ~ 还剩{num}分钟，跑过去还上得去不
坐飞机要提前多久到机场
  提前多久到机场 几点到机场合适 {num}点的飞机几点到 国内航班提前几小时(到|) 到机场要留多少时间
飞机上可以玩手机吗
  飞机上能玩手机吗 手机要关机吗 飞行模式可以用手机吗 起飞的时候能用手机吗 平板飞机上能看吗
身份证过期了可以坐飞机吗
  身份证过期(了|)(能|可以)坐飞机吗 身份证到期了还能登机吗 证件过期怎么(登机|坐飞机) 过期身份证能过安检吗
  ~ 刚发现证过期了，{date}的飞机
没带身份证怎么坐飞机
  没带身份证(怎么|能)坐飞机(吗|) 身份证忘带了(怎么办|) 身份证丢了怎么登机 不带身份证可以登机吗 证件落家里了
  ~ 人在机场证在家
购票时名字里的生僻字打不出来怎么办
  名字有生僻字(怎么买票|打不出来) 生僻字怎么填 名字打不出来 姓名输入不了 拼音代替名字可以吗
外国人姓名怎么填写
  外国人名字怎么填 英文名怎么填 护照姓和名(怎么填|填反了) 名字顺序填反了(影响登机吗|) 中间名要不要填
机票订单显示出票中是什么意思
  一直显示出票中 出票中是什么意思 怎么还没出票 付款了没出票 多久能出票 {order}为什么还在出票
  ~ 钱扣了票没影
  - 怎么还没好
付款成功了但没有出票怎么办
  付了钱没出票 钱扣了没有票 付款成功订单显示未支付 扣款了没订单 支付了{money}票没出
  ~ 银行短信都来了你们说没付
  - 钱扣了 怎么还没好
可以指定航空公司靠窗的座位吗
  我要靠窗 可以要靠窗的位置吗 怎么选靠窗 想坐窗边 {airline}能不能给我留个靠窗
航班时刻变更了怎么办
  航班改时间了(怎么办|) 收到短信说航班时间变了 航班提前了(能退吗|) 起飞时间改了接不上下一班
  航变(怎么处理|免费退吗)
  ~ {flight}突然改到半夜飞
航班备降了怎么安排
  备降了怎么办 飞机落到别的城市了 备降(有|给安排)住宿吗 {flight}备降{city} 返航了怎么安排
飞机超售被拒绝登机怎么赔偿
  超售(了|)(怎么办|怎么赔) 没座位不让我登机 被拒载(了|)(怎么赔|) 飞机票卖多了上不去 {airline}超售赔多少
"""

SLOTS = """
city: 三亚 北京 上海 成都 昆明 西安 重庆 哈尔滨 厦门 乌鲁木齐 广州 大连 桂林 拉萨 海口 杭州 深圳 长沙 青岛
  + 贵阳 丽江
abroad: 曼谷 东京 首尔 新加坡 巴黎 伦敦 吉隆坡 大阪 普吉岛 悉尼 洛杉矶
airline: 国航 东航 南航 海航 川航 厦航 春秋 山航 深航 吉祥
flight: CA1831 MU5101 CZ3102 HU7609 3U8881 MF8104 ZH9120 ca4112 mu2455 cz6890 HO1256 9C8815
"""

STORIES = """
我{date}订的去{city}的票 {flight}的票 {date}飞{city}的 我买的{airline}的机票 在你们app上买的机票
{city}到{city}的航班
昨天刚买的票 票号{order} 订单{order} 我们{num}个人去{city} 帮朋友订的机票 {date}早上的飞机 公司给订的票
{airline}的
我现在在{city}机场 航班{flight} 已经付款了 之前在官网订的
"""
